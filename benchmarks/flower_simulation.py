"""Secure sums under Flower's own simulation (Ray): many nodes, some of them lost; seconds, memory, exactness.

Every node is made up by Flower, and every message goes through its Message API. A lost node's app raises an error when
it is asked for its input, so that the server learns of it by Flower's error reply. The sum is compared with the clear
one of the survivors.

    python benchmarks/flower_simulation.py --clients 100 --loss 0.2 --json flower.json
"""

# ruff: noqa: E402 -- flwr and Ray read the environment when they are imported

from __future__ import annotations

import argparse
import logging
import os
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

OFFLINE = {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1", "RAY_USAGE_STATS_ENABLED": "0"}
os.environ.update(OFFLINE)  # before flwr and Ray are imported

import numpy as np
from flwr.app import Context, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.simulation import run_simulation
from numpy.typing import NDArray
from report import Check, Report

from securefl.engine.flower import Aggregate, ArraySpec, LogWatch, SecureClient, Terms, secure_aggregate

LARGEST = 1000


def main() -> None:
    """One sum, in a simulation of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--loss", type=float, default=0.2, help="share of nodes that fail when asked for their input")
    parser.add_argument("--numbers", type=int, default=10_000, help="numbers in the array")
    parser.add_argument("--kem", default="x25519-mlkem768", choices=["x25519", "x25519-mlkem768"])
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    report = Report(sys.argv, ["flwr", "ray", "cryptography"])
    report.checks += simulate(options.clients, options.loss, options.numbers, options.kem)
    print(report.table())
    if options.json:
        report.write(options.json)


def simulate(clients: int, loss: float, numbers: int, kem: str) -> list[Check]:
    """Raises `SystemExit` if the sum is not the clear one."""
    client, server, lost = ClientApp(), ServerApp(), losses(clients, loss)

    def arrays(_request: RecordDict, context: Context) -> Mapping[str, NDArray[np.int64]]:
        number = int(context.node_config["partition-id"])
        if number in lost:
            raise RuntimeError("this node is lost")
        return {"array": values(number, numbers)}

    SecureClient(arrays=arrays, simulated=True).register(client)
    done: list[tuple[Aggregate, float]] = []

    @server.main()
    def aggregate(grid: Grid, _context: Context) -> None:
        terms = Terms(
            threshold=None if loss < 0.3 else clients // 2, kem=kem, deadline=1800.0, patience=600.0, watch=LogWatch()
        )
        nodes = terms.post(grid).wait_for_nodes(clients, 600.0)
        began = time.perf_counter()
        done.append((secure_aggregate(grid, nodes, [ArraySpec("array", (numbers,), LARGEST)], terms=terms), began))
        done[-1] = done[-1][0], time.perf_counter() - began

    began = time.perf_counter()
    with Peak() as peak:
        run_simulation(server, client, clients, backend_config=BACKEND)
    wall = time.perf_counter() - began
    result, seconds = done[0]
    alive = [number for number in range(clients) if number not in lost]
    if len(result.survivors["sum"]) != len(alive) or result.failures:
        raise SystemExit(f"{len(result.survivors['sum'])} of {len(alive)} nodes are in the sum: {result.failures}")
    if not (result.arrays["array"] == sum(values(number, numbers) for number in alive)).all():
        raise SystemExit("the sum is not the clear one")
    return [
        Check(f"survivors_{clients}", len(alive), "nodes, all in an exact sum"),
        Check(f"sum_s_{clients}", seconds, "s, enrolment and four message rounds"),
        Check(f"wall_s_{clients}", wall, "s, Ray's start and end included"),
        Check(f"peak_mb_{clients}", peak.kilobytes / 1024, "MB, proportional set size of all processes"),
    ]


BACKEND = {
    "init_args": {"include_dashboard": False, "logging_level": 40, "log_to_driver": False},
    "client_resources": {"num_cpus": 1, "num_gpus": 0.0},
}


def losses(clients: int, loss: float) -> frozenset[int]:
    """The nodes that are lost, scattered over all shards."""
    return frozenset(np.random.default_rng(0).permutation(clients)[: round(loss * clients)].tolist())


def values(number: int, numbers: int) -> NDArray[np.int64]:
    """What a node puts in."""
    return np.random.default_rng(number).integers(-LARGEST, LARGEST, numbers)


class Peak:
    """The most memory that this process and all it started have held, seen twice a second."""

    def __init__(self) -> None:
        self.kilobytes = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.5):
            self.kilobytes = max(self.kilobytes, sum(map(held, family(os.getpid()))))


def family(pid: int) -> list[int]:
    """A process and all it has started. A process may end while it is looked at."""
    found = [pid]
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [one for child in children.read_text().split() for one in family(int(child))]
        except OSError:
            continue
    return found


def held(pid: int) -> int:
    """Proportional set size in kB: what is shared counts once in all."""
    try:
        return int(Path(f"/proc/{pid}/smaps_rollup").read_text().partition("\nPss:")[2].split()[0])
    except (OSError, IndexError):
        return 0


if __name__ == "__main__":
    main()
