"""Where the time of a submodel round goes: 100 clients, the `taobao` preset, DIN; every client and the server here.

    python benchmarks/submodel_round.py --json docs/performance/round.json

First the wall clock of rounds whose client work is spread over two processes, as `securefl demo` does it. Then one
round in one process, step by step: processor time of a mean client and of the server. A frame is encoded by its sender.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from report import Check, Report

from securefl.config import Config, load_preset, override
from securefl.datasets import ClickLog, synthetic_click_log
from securefl.engine import local
from securefl.engine.exchange import Reply
from securefl.federation.progress import Silent
from securefl.federation.setup import Setup
from securefl.federation.training import Training
from securefl.submodel import to_client

FLOOR = 20.0
STEPS = {  # what a client is sent, and what it then does
    "RoundInvitation": "advertise",
    "Roster": "share",
    "Delivery": "union",
    "Survivors": "unmask",
    "UnionAnnounced": "claim",
    "Submodel": "train_and_mask",
}


class Timed:
    """A fleet, and how long its clients take for each step."""

    def __init__(self, fleet: Any) -> None:
        self._fleet = fleet
        self.clients: dict[str, list[float]] = {step: [] for step in STEPS.values()}
        self.server: dict[str, float] = dict.fromkeys(STEPS.values(), 0.0)
        self._since = time.process_time()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fleet, name)

    def deliver(self, frames: Mapping[bytes, bytes]) -> Iterator[Reply]:
        """See `Fleet`. What passes before the frames, and while a reply is taken in, is the server's."""
        step = STEPS[type(to_client.decode(next(iter(frames.values())))).__name__]
        replies, before = self._fleet.deliver(frames), time.process_time() - self._since
        self.server[step] += before
        while True:
            began = time.process_time()
            reply = next(replies, None)
            if reply is None:
                break
            self.clients[step].append(time.process_time() - began)
            given = time.process_time()
            yield reply
            self.server[step] += time.process_time() - given
        self._since = time.process_time()


def main() -> None:
    """The clock, then the steps."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures here")
    asked = parser.parse_args()
    report, log = Report(sys.argv, ["numpy", "securefl"]), synthetic_click_log("taobao", seed=0)
    settings = {"cohort.rounds": asked.rounds, "cohort.dropout": 0.0}
    config = override(load_preset("taobao"), settings)
    report.checks += [*clock(config, log), *steps(config, log)]
    report.notes.append("a client's times are means over 100; the server's are for all of them")
    print(report.table())
    if asked.json:
        report.write(asked.json)


def clock(config: Config, log: ClickLog) -> list[Check]:
    """Median and slowest round over two processes."""
    summary = local.run(config, log, Silent(), processes=2)
    seconds = [sum(record.seconds.values()) for record in summary.per_round]
    return [
        Check("round_seconds", statistics.median(seconds), "s", FLOOR, FLOOR / 2, "<="),
        Check("slowest_round_seconds", max(seconds), "s", FLOOR, FLOOR / 2, "<="),
        Check("sums_exact", float(summary.exact), "", 1.0),
    ]


def steps(config: Config, log: ClickLog) -> list[Check]:
    """One round, taken apart."""
    setup = Setup.of(config, log)
    training = Training(setup)
    with local.fleet(setup, training.state.strategy.weigh, 1) as fleet:
        timed = Timed(fleet)
        cohort = setup.random.generator("cohort", 1).choice(log.users, config.cohort.clients, replace=False)
        local.LocalEngine(setup, timed, plain=False).play(1, sorted(cohort.tolist()), training.state.weights, Silent())
    client = {step: 1e3 * statistics.mean(times) for step, times in timed.clients.items()}
    sent = {step: len(times) // config.cohort.clients for step, times in timed.clients.items()}
    whole = sum(sum(times) for times in timed.clients.values()) + sum(timed.server.values())
    return [
        Check("round_processor_seconds", whole, "s", 2 * FLOOR, FLOOR, "<="),
        *(Check(f"client_{step}", sent[step] * value, "ms") for step, value in client.items()),
        Check("client_all", sum(sent[step] * value for step, value in client.items()), "ms"),
        *(Check(f"server_{step}", seconds, "s") for step, seconds in timed.server.items()),
        Check("server_all", sum(timed.server.values()), "s"),
    ]


if __name__ == "__main__":
    main()
