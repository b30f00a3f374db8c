"""A soak: rounds of secure submodel learning, one after the other, with losses, client restarts and a server restart.

Every client keeps its folder (`NodeStore`) from round to round, and between two messages it is bytes, as on an engine
that runs a process per message. At random a message is lost, or a client's process dies and its session with it. In one
round the server dies as well and a fresh one goes on from its event log. Every round is compared with the clear sums of
its survivors, and the memory of the process is looked at after each.

    python benchmarks/soak.py --rounds 200 --json soak.json
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from report import Check, Report

import psu
from securefl.engine.durable import DurableServer
from securefl.engine.exchange import Exchange
from securefl.errors import LocalProtocolError, TooFewSurvivorsError
from securefl.secagg import Aborted
from securefl.secagg.messages import MaskedInput
from securefl.store import NodeStore, SqliteEventLog
from securefl.submodel import (
    UPDATE,
    Downloaded,
    Quantization,
    QuantizedUpdate,
    SubmodelClient,
    SubmodelPlan,
    SubmodelServer,
    Table,
    to_client,
    to_server,
)
from securefl.submodel.messages import RoundInvitation, Submodel

ITEMS, WIDTH, DENSE, HELD = 400, 8, 200, 40
HOW = Quantization(12, 1.0, 64)
UNION = psu.UnionPlan("bitmap", ITEMS, ITEMS, 64, cells=ITEMS, bits=16, hashes=1)
PLAN = SubmodelPlan(
    union=UNION.to_bytes(),
    response=("7/8", "1/8", "7/8", "1/8"),
    tables=(Table("items", ITEMS, WIDTH),),
    dense=DENSE,
    row_floor=2,
    ring_bits=32,
    row_quantization=HOW,
    dense_quantization=HOW,
)
STEPS = 7
"""Messages of a client in a round."""
WARM = 10
"""Rounds after which memory should not grow any more."""


class ServerDiedError(Exception):
    """The process of the server is gone."""


class Sleeper:
    """A client that is bytes between two messages. `dies` says whether its process dies before it takes a message."""

    def __init__(self, store: NodeStore, registry: frozenset[bytes], seed: int, dies: Any) -> None:
        self._store, self._registry, self._dies = store, registry, dies
        self._draw = np.random.default_rng(seed)
        self._held = np.sort(self._draw.choice(ITEMS, HELD, replace=False))
        self._asleep: bytes | None = None
        self.update: QuantizedUpdate | None = None
        self.restarts = 0

    def receive(self, message: Any) -> list[Any]:
        """See `exchange.Node`."""
        if self._dies():
            self._asleep, self.restarts = None, self.restarts + 1
        store = self._store
        client = SubmodelClient(store.identity, self._registry, self._held, store.memo, journal=store.journal)
        if not isinstance(message, RoundInvitation):
            if self._asleep is None:
                raise LocalProtocolError("this session ended with its process")
            asleep, self._asleep = self._asleep, None
            client.resume(asleep)
        answers = client.receive(message)
        if isinstance(message, Submodel):
            self.update = self._train(client.download)
            answers = client.upload(self.update)
        if not isinstance(client.state, Aborted):
            self._asleep = client.suspend()
        return answers

    def _train(self, download: Downloaded) -> QuantizedUpdate:
        rows = np.intersect1d(self._held, download.rows("items")[0])
        values = self._draw.integers(-1000, 1000, (rows.size, WIDTH + 1))
        return QuantizedUpdate(self._draw.integers(-1000, 1000, DENSE + 1), {"items": (rows, values)})


class Soak:
    """Clients that outlive their rounds."""

    def __init__(self, folder: Path, clients: int, loss: float, seed: int, stack: ExitStack) -> None:
        self._folder, self._loss, self._draw = folder, loss, np.random.default_rng(seed)
        names = [NodeStore.create(folder / str(number)) for number in range(clients)]
        stores = [stack.enter_context(NodeStore(folder / str(number))) for number in range(clients)]
        registry = frozenset(names)
        self._params = PLAN.params(clients=clients, threshold=clients // 2, colluders=1, kem="x25519-mlkem768")
        self.clients: Mapping[bytes, Sleeper] = {
            store.identity.public: Sleeper(store, registry, number, lambda: bool(self._draw.random() < loss / STEPS))
            for number, store in enumerate(stores)
        }
        self._weights = np.zeros(DENSE, np.float32), {"items": np.zeros((ITEMS, WIDTH), np.float32)}
        self.lost = self.server_restarts = 0

    def round(self, number: int, *, server_dies: bool) -> bool | None:
        """Whether a round was exact; None if too few clients were left, as it must say."""
        path = self._folder / f"round-{number}.sqlite"
        with SqliteEventLog(path) as log:
            server = self._server(log)
            fall = Fall(server, server_dies)
            try:
                self._carry(fall)
            except ServerDiedError:
                self.server_restarts += 1
                server = self._server(log)  # a new process: nothing but the log is left
                self._carry(server)
            except TooFewSurvivorsError:
                return None
            finally:
                path.unlink()
            return self._is_exact(server.server)

    def _server(self, log: SqliteEventLog) -> DurableServer:
        names = self.clients.keys()
        return DurableServer(
            lambda session: SubmodelServer(self._params, PLAN, *self._weights, names, session=session), to_server, log
        )

    def _carry(self, server: Any) -> None:
        Exchange(server, self.clients, to_client, to_server, self._loses).run()

    def _loses(self, _name: bytes, _message: Any) -> bool:
        lost = bool(self._draw.random() < self._loss / STEPS)
        self.lost += lost
        return lost

    def _is_exact(self, server: Any) -> bool:
        sums = server.sums
        dense, items = np.zeros(DENSE + 1, np.int64), np.zeros((ITEMS, WIDTH + 1), np.int64)
        for client in sums.survivors:
            update = self.clients[server.name_of(client)].update
            rows, values = update.tables["items"]  # type: ignore[union-attr]  # a survivor has trained
            dense += update.dense  # type: ignore[union-attr]
            items[rows] += values
        opened = sums.tables["items"]
        same = (np.column_stack([opened.sums, opened.counts]) == items[opened.indices]).all()
        return bool(same and (np.append(sums.dense, sums.dense_count) == dense).all())


class Fall:
    """A server whose process dies in the middle of the masked updates, if it is to."""

    def __init__(self, inner: DurableServer, dies: bool) -> None:
        self._inner, self._left = inner, 3 if dies else -1
        self.start, self.drop = inner.start, inner.drop

    def receive(self, sender: bytes, message: Any) -> Any:
        """See `exchange.Sink`. What was received before is in the log."""
        outgoing = self._inner.receive(sender, message)
        if isinstance(message, MaskedInput) and message.sum == UPDATE:
            self._left -= 1
            if self._left == 0:
                raise ServerDiedError
        return outgoing


def resident_mb() -> float:
    """Memory of this process now."""
    gc.collect()
    return int(Path("/proc/self/status").read_text().partition("VmRSS:")[2].split()[0]) / 1024


def main() -> None:
    """All rounds; exit 1 if one is not exact."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--clients", type=int, default=12)
    parser.add_argument(
        "--loss",
        type=float,
        default=0.12,
        help="of a client in a round, on average: messages lost, and as many restarts",
    )
    parser.add_argument("--seed", type=int, default=0, help="of losses and data; keys and masks are the system's")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    report = Report(sys.argv, ["numpy", "cryptography"])
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        soak = Soak(Path(folder), options.clients, options.loss, options.seed, stack)
        report.checks += run(soak, options.rounds)
    print(report.table())
    if options.json:
        report.write(options.json)


def run(soak: Soak, rounds: int) -> list[Check]:
    """Play them; raises `SystemExit` for the first round that is not exact."""
    began, outcomes, memory = time.perf_counter(), [], []
    for number in range(rounds):
        outcomes.append(soak.round(number, server_dies=number == rounds // 2))
        memory.append(resident_mb())
        if outcomes[-1] is False:
            raise SystemExit(f"round {number} is not the sum of its survivors")
    finished = outcomes.count(True)
    if not finished:
        raise SystemExit("no round finished: use less loss or more clients")
    warm = memory[min(WARM, rounds - 1)]
    return [
        Check("rounds", rounds, "rounds"),
        Check("exact", finished, "rounds, every sum that of the survivors"),
        Check("too_few", outcomes.count(None), "rounds that said that too few were left"),
        Check("messages_lost", soak.lost, "messages"),
        Check("client_restarts", sum(client.restarts for client in soak.clients.values()), "processes that died"),
        Check("server_restarts", soak.server_restarts, "processes that died"),
        Check("memory_mb_warm", warm, f"MB after {min(WARM, rounds - 1) + 1} rounds"),
        Check("memory_mb_half", memory[rounds // 2], "MB after half of the rounds"),
        Check("memory_mb_end", memory[-1], "MB after the last", warm * 1.05, warm * 1.02, "<="),
        Check("seconds", time.perf_counter() - began, "s"),
    ]


if __name__ == "__main__":
    main()
