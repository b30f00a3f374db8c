"""Engines in turn, short calls repeated within a turn; every result is compared with onnxruntime's."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
from report import Check, Report

from inference.engines import Run

clock: Callable[[], float] = time.perf_counter
"""What tells the time; `--cpu-time` makes it the CPU time of this thread, in which all engines compute."""
TURN = 2e-3
"""Seconds that a turn takes at least."""
TOLERANCE = 1e-4
"""Largest difference, relative to the largest output."""


class Times:
    """Seconds of a call of each engine, turn by turn."""

    def __init__(self, taken: Mapping[str, Sequence[float]]) -> None:
        self._taken = taken

    def median(self, engine: str) -> float:
        """Seconds."""
        return statistics.median(self._taken[engine])

    def ratio(self, engine: str, to: str = "ours") -> float:
        """The median of the ratios in each round: what slows the machine for a while slows both."""
        return statistics.median(a / b for a, b in zip(self._taken[engine], self._taken[to], strict=True))


def measured(runs: Mapping[str, Run], rounds: int, least: float = TURN, pause: float = 0.0) -> Times:
    """Calls of each engine, in turn.

    A turn is one call that no clock sees, so that an engine finds its own data in the cache and not its neighbour's,
    then calls for `least` seconds: the same number for all. Before it a pause, in which a neighbour's threads sleep.
    """
    count = max(1, int(least / max(_seconds(run) for run in runs.values())))

    def turn(run: Run) -> None:
        for _ in range(count):
            run()

    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            time.sleep(pause)
            run()
            taken[name].append(_timed(partial(turn, run)) / count)
    return Times(taken)


def in_turn(calls: Mapping[str, Callable[[], object]], rounds: int) -> Times:
    """The same for calls that are to be seen as they come, such as the creation of a session."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            taken[name].append(_timed(call))
    return Times(taken)


def _seconds(run: Run) -> float:
    run()
    return _timed(run)


def _timed(call: Callable[[], object]) -> float:
    began = clock()
    call()
    return clock() - began


def compared(report: Report, name: str, runs: Mapping[str, Run], reference: str) -> None:
    """Add how far ours is from the reference; every contestant farther than TOLERANCE ends the benchmark."""
    wanted = runs[reference]()
    scale = float(np.abs(wanted).max())
    far = {engine: float(np.abs(run() - wanted).max()) / scale for engine, run in runs.items()}
    wrong = [engine for engine, difference in far.items() if not difference <= TOLERANCE]
    if wrong:
        raise SystemExit(f"{name}: {', '.join(wrong)} and {reference} differ by more than {TOLERANCE}")
    report.checks.append(Check(f"{name}_difference", far["ours"], "relative", TOLERANCE, direction="<="))
