"""A whole deployment on this machine: one SuperLink, four SuperNodes, TLS, authenticated nodes, one killed in a round.

Usage: python deploy.py FOLDER [--data FILE] [--kill]. Everything it makes lies in FOLDER; what it starts ends with it.
"""

from __future__ import annotations

import argparse
import datetime
import ipaddress
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from securefl.store import NodeStore, write_registry

NODES = 4
APP = Path(__file__).parent
DAY = datetime.timedelta(days=1)
OFFLINE = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}
SETTINGS = {
    "users": NODES,
    "securefl-simulation": False,
    "cohort.clients": NODES,
    "cohort.rounds": 2,
    "cohort.dropout": 0.0,
    "cohort.seed": 3,
    "secagg.threshold": 2,
    "privacy.response": "union",  # every node asks for all of the union: nothing random in the result
    "privacy.honest_claimants": 1,
}


class Processes:
    """Programs in process groups of their own, each with a log; all of them are gone when the block ends."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder, self._environment = folder, environment
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        self.end(list(self._running), signal.SIGTERM)

    def start(self, name: str, *command: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a program of this environment, with more variables if it takes any."""
        program = str(Path(sys.executable).parent / command[0])
        with (self._folder / f"{name}.log").open("wb") as log:
            self._running[name] = subprocess.Popen(  # noqa: S603
                [program, *command[1:]],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment | environment,
                start_new_session=True,
            )
        return self._running[name]

    def end(self, names: Sequence[str], how: signal.Signals) -> None:
        """Signal programs and all they started, also what has left its process group; what stays is killed."""
        heads = [self._running.pop(name) for name in names]
        family = [pid for head in heads for pid in (head.pid, *descendants(head.pid))]
        for attempt in (how, signal.SIGKILL):
            for pid in filter(alive, family):
                with suppress(ProcessLookupError):
                    os.kill(pid, attempt)
            with suppress(TimeoutError):
                wait_until(
                    "", lambda: all(head.poll() is not None for head in heads) and not any(map(alive, family)), 10
                )
                return

    def process(self, name: str) -> subprocess.Popen[bytes]:
        """A program that was started and not ended."""
        return self._running[name]

    def check(self) -> None:
        """Raise `RuntimeError` with the end of its log if a program has failed."""
        for name, process in self._running.items():
            if process.poll():
                raise RuntimeError(f"{name} ended with {process.returncode}: {self.text(name)[-2000:]}")

    def text(self, name: str) -> str:
        """What a program has written so far."""
        return (self._folder / f"{name}.log").read_text(errors="replace")


def descendants(pid: int) -> list[int]:
    """Every process that a process has started, and those have started, oldest first."""
    children = [
        int(child) for task in Path(f"/proc/{pid}/task").glob("*/children") for child in task.read_text().split()
    ]
    return children + [grandchild for child in children for grandchild in descendants(child)]


def alive(pid: int) -> bool:
    """Whether a process runs: a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def make_certificates(folder: Path) -> None:
    """A certificate authority of our own, and the SuperLink's certificate for this machine."""
    authority, server = ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP384R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "securefl example authority")])
    here = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    root = _certificate(issuer, issuer, authority, authority, x509.BasicConstraints(ca=True, path_length=0))
    leaf = _certificate(subject, issuer, server, authority, here)
    (folder / "ca.pem").write_bytes(root.public_bytes(serialization.Encoding.PEM))
    (folder / "server.pem").write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
    _write_key(folder / "server.key", server, serialization.PrivateFormat.PKCS8)


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    extension: x509.ExtensionType,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - DAY).not_valid_after(now + 30 * DAY)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    own = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    builder = builder.add_extension(own, critical=False)
    return builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints)).sign(
        signer, hashes.SHA384()
    )


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey, form: serialization.PrivateFormat) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))


def make_nodes(folder: Path, nodes: int) -> None:
    """For each node: a key that Flower knows it by, a folder of its own, and the registry of all identities."""
    identities = []
    for number in range(nodes):
        key = ec.generate_private_key(ec.SECP384R1())
        _write_key(folder / f"node{number}.key", key, serialization.PrivateFormat.OpenSSH)
        public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        (folder / f"node{number}.pub").write_bytes(public)
        identities.append(NodeStore.create(folder / f"node{number}"))
    for number in range(nodes):
        write_registry(folder / f"node{number}" / "registry.txt", identities)


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody listens on now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def wait_until(what: str, done: Callable[[], bool], seconds: float) -> None:
    """Raise `TimeoutError`, saying what did not happen."""
    until = time.monotonic() + seconds
    while not done():
        if time.monotonic() > until:
            raise TimeoutError(f"after {seconds:g} s: {what}")
        time.sleep(0.2)


def listening(port: int) -> bool:
    """Whether somebody accepts connections there."""
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


class Deployment:
    """A SuperLink that listens, and nodes to come: each is registered, then started."""

    def __init__(self, folder: Path, processes: Processes, port: int) -> None:
        self.folder, self.processes, self._port = folder, processes, port

    def register(self, number: int) -> None:
        """Let the SuperLink know a node's key."""
        key = f"{self.folder}/node{number}.pub"
        if (done := self.processes.start("register", "flwr", "supernode", "register", key, "here")).wait(60):
            raise RuntimeError(f"{done.returncode}: {self.processes.text('register')}")

    def start(self, number: int, *options: str, config: str = "", **environment: str) -> subprocess.Popen[bytes]:
        """Start a node's SuperNode. `config`: more of its node-config."""
        here = f"partition-id={number} num-partitions={NODES} securefl-home='{self.folder}/node{number}' {config}"
        command = [
            "flower-supernode",
            f"--superlink=127.0.0.1:{self._port}",
            f"--root-certificates={self.folder}/ca.pem",
            f"--auth-supernode-private-key={self.folder}/node{number}.key",
            "--host=127.0.0.1",
            f"--port={free_ports(1)[0]}",
            f"--node-config={here.strip()}",
        ]
        return self.processes.start(f"supernode{number}", *command, *options, **environment)

    def run(self, app: Path, configuration: str) -> subprocess.Popen[bytes]:
        """`flwr run` of an app, as the program "run"."""
        return self.processes.start("run", "flwr", "run", str(app), "here", "--stream", "--run-config", configuration)


@contextmanager
def deployment(folder: Path, nodes: int = NODES) -> Iterator[Deployment]:
    """A SuperLink; keys and folders for nodes. Whatever was started has ended when the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    make_certificates(folder)
    make_nodes(folder, nodes)
    (port,) = free_ports(1)
    home = folder / "flwr"
    home.mkdir()
    connection = f'address = "127.0.0.1:{port}"\nroot-certificates = "{folder}/ca.pem"\n'
    (home / "config.toml").write_text(f'[superlink]\ndefault = "here"\n\n[superlink.here]\n{connection}')
    environment = {**os.environ, **OFFLINE, "FLWR_HOME": str(home), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    tls = [f"--ssl-ca-certfile={folder}/ca.pem", f"--ssl-certfile={folder}/server.pem"]
    tls.append(f"--ssl-keyfile={folder}/server.key")
    with Processes(folder, environment) as processes:
        where = ["--host=127.0.0.1", f"--port={port}", "--disable-runtime-dependency-installation"]
        processes.start("superlink", "flower-superlink", *where, *tls, "--enable-supernode-auth")
        wait_until("the SuperLink does not listen", lambda: listening(port), 60)
        yield Deployment(folder, processes, port)


def settings(folder: Path, data: str, deadline: float) -> str:
    """The run's configuration for `flwr run`."""
    given = SETTINGS | {
        "data.path": data,
        "deadline": deadline,
        "out": str(folder),
        "metrics": f"{folder}/metrics.prom",
    }
    literal = {True: "true", False: "false"}
    return " ".join(
        f'{name}="{value}"'
        if isinstance(value, str)
        else f"{name}={literal.get(value, value) if isinstance(value, bool) else value}"
        for name, value in given.items()
    )


def main() -> None:
    """Two rounds; with --kill the last node dies while the second one trains."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", default="", help="a click log; without one, a synthetic one")
    parser.add_argument("--kill", action="store_true", help="kill a node in the middle of the second round")
    parser.add_argument("--deadline", type=float, default=60.0, help="seconds for a step")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started ends, too
    folder = options.folder.absolute()
    began = time.monotonic()
    with deployment(folder) as made:
        processes = made.processes
        for number in range(NODES):
            made.register(number)
        for number in range(NODES):
            made.start(number)
        print(f"SuperLink and {NODES} SuperNodes are up after {time.monotonic() - began:.0f} s")
        run = made.run(APP, settings(folder, options.data, options.deadline))

        def saved(number: int) -> bool:
            processes.check()
            return (folder / f"round-{number}.safetensors").exists()

        if options.kill:
            wait_until("the first round did not end", lambda: saved(1), 600)
            seen = '"message": "UnionAnnounced"'
            wait_until("no second union", lambda: saved(1) and processes.text("run").count(seen) == 2, 300)
            processes.end([f"supernode{NODES - 1}"], signal.SIGKILL)
            print("node 3 is killed: its claim is heard, its update will not be")
        wait_until("the last round did not end", lambda: saved(2), 600)
        run.wait(60)
    print(f"two rounds; all ended after {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
