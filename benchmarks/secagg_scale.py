"""How a sparse secure sum grows with the cohort: time of a client, time and memory of the server.

The server lives in this process, with its uploads in a temporary file; all clients live in one worker process. So the
peak memory of this process is the server's. Every sum is compared with the clear one.

    python benchmarks/secagg_scale.py --clients 10,30,100,300,1000 --dim 100000 --dropout 0.1 --json scale.json
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from report import Check, Report

from securefl.crypto import Identity
from securefl.engine.exchange import Exchange, InProcess, Reply
from securefl.secagg import (
    Client,
    Params,
    Segment,
    Server,
    Sum,
    default_threshold,
    degree_and_threshold,
    signed,
    to_client,
    to_server,
)
from securefl.secagg.messages import MaskedInput
from securefl.store import FileSpool

BITS, LARGEST = 32, 1000
SEGMENT, SPARSE_ABOVE = "vector", 100


def main() -> None:
    """One session for each cohort size, each in a fresh pair of processes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", default="10,30,100,300,1000", help="cohort sizes, comma-separated")
    parser.add_argument("--dim", type=int, default=100_000, help="numbers in a vector")
    parser.add_argument("--dropout", type=float, default=0.1, help="share of clients lost with their masked vector")
    parser.add_argument("--corrupt", type=float, default=0.05, help="share of clients assumed corrupt")
    parser.add_argument("--kem", default="x25519", choices=["x25519", "x25519-mlkem768"])
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    report = Report(sys.argv, ["numpy", "cryptography"])
    for n in map(int, options.clients.split(",")):
        print(f"{n} clients ...", file=sys.stderr, flush=True)
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
            task = fresh.submit(session, n, options.dim, options.dropout, options.corrupt, options.kem)
            report.checks += task.result()
    report.notes.append(
        f"above {SPARSE_ABOVE} clients a sparse graph, degree_and_threshold(n, corrupt, dropout + 0.05, 'semi_honest')"
    )
    print(report.table())
    if options.json:
        report.write(options.json)


def session(n: int, dim: int, dropout: float, corrupt: float, kem: str) -> list[Check]:
    """One sum of n clients; raises if it is not the clear sum of its survivors."""
    degree, threshold = graph(n, corrupt, dropout)
    sums = (Sum("a", (Segment(SEGMENT, BITS, dim),)),)
    agreed = Params(n, threshold, int(corrupt * n), kem, sums, degree).check()
    with Clients(agreed) as clients:
        names = clients.names
        server, lost = Timed(Server(agreed, names, spool=FileSpool())), set(names[: int(dropout * n)])
        before = peak_kilobytes()
        began = time.perf_counter()
        Exchange(server, clients, to_client, to_server, lambda u, m: u in lost and isinstance(m, MaskedInput)).run()
        wall = time.perf_counter() - began
        opened = server.inner
        survivors = [names.index(opened.name_of(u)) for u in opened.survivors["a"]]
        total = signed(sums[0].segments[0], opened.results["a"][SEGMENT])
        if not (total == sum(values(i, dim) for i in survivors)).all():
            raise SystemExit(f"the sum of {n} clients is not the clear one")
        peak = peak_kilobytes()
        return [
            Check(f"neighbours_{n}", agreed.neighbours, "clients"),
            Check(f"client_ms_{n}", 1e3 * clients.seconds / n, "ms, mean, all messages and codec"),
            Check(f"server_s_{n}", server.seconds, "s"),
            Check(f"server_peak_mb_{n}", peak / 1024, "MB, whole process"),
            Check(f"server_growth_mb_{n}", (peak - before) / 1024, "MB, during the session"),
            Check(f"wall_s_{n}", wall, "s, both processes"),
        ]


def peak_kilobytes() -> int:
    """Of this process alone: what getrusage says includes the parent's, from before it became another program."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def graph(n: int, corrupt: float, dropout: float) -> tuple[int | None, int]:
    """The complete graph up to 100 clients; above, the sparse one that is safe with a twentieth more losses."""
    if n <= SPARSE_ABOVE:
        return None, default_threshold(n)
    return degree_and_threshold(n, corrupt, dropout + 0.05, "semi_honest")


def values(client: int, dim: int) -> NDArray[np.int64]:
    """What client number `client` puts in."""
    return np.random.default_rng(client).integers(-LARGEST, LARGEST, dim)


class Timed:
    """A server that counts its own seconds."""

    def __init__(self, inner: Server) -> None:
        self.inner, self.seconds = inner, 0.0

    def start(self) -> dict[bytes, Any]:
        """See `Server`."""
        return self._timed(self.inner.start)

    def receive(self, sender: bytes, message: Any) -> dict[bytes, Any]:
        """See `Server`."""
        return self._timed(self.inner.receive, sender, message)

    def drop(self, sender: bytes) -> dict[bytes, Any]:
        """See `Server`."""
        return self._timed(self.inner.drop, sender)

    def _timed(self, act: Any, *arguments: Any) -> dict[bytes, Any]:
        began = time.perf_counter()
        outgoing: dict[bytes, Any] = act(*arguments)
        self.seconds += time.perf_counter() - began
        return outgoing


class Clients:
    """A carrier to clients in another process."""

    def __init__(self, agreed: Params) -> None:
        self._pipe, theirs = multiprocessing.Pipe()
        self._worker = multiprocessing.get_context("fork").Process(target=serve, args=(self._pipe, theirs, agreed))
        self._worker.start()
        theirs.close()
        self.names: list[bytes] = self._pipe.recv()
        self.seconds = 0.0

    def __enter__(self) -> Clients:
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        self._worker.join()

    def deliver(self, frames: Mapping[bytes, bytes]) -> Iterator[Reply]:
        """See `exchange.Carrier`."""
        for name, frame in frames.items():
            self._pipe.send((name, frame))
            seconds, replies = self._pipe.recv()
            self.seconds += seconds
            yield from replies


def serve(ours: Any, pipe: Any, agreed: Params) -> None:
    """The worker: all clients, and the seconds they take."""
    ours.close()  # or the end of the other process would go unnoticed here
    identities = [Identity.generate() for _ in range(agreed.clients)]
    registry, dim = {i.public for i in identities}, agreed.sums[0].segments[0].words
    numbers = {identity.public: number for number, identity in enumerate(identities)}
    pipe.send(list(numbers))
    nodes: dict[bytes, Client] = {}
    carrier = InProcess(nodes, to_client, to_server)
    try:
        while True:
            name, frame = pipe.recv()
            if name not in nodes:
                number = numbers[name]
                nodes[name] = Client(identities[number], registry, {"a": [values(number, dim).astype(np.int32)]})
            began = time.perf_counter()
            replies = list(carrier.deliver({name: frame}))
            pipe.send((time.perf_counter() - began, replies))
    except EOFError:
        return


if __name__ == "__main__":
    main()
