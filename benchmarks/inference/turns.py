"""Engines in turn, short calls repeated within a turn; every result is compared with onnxruntime's."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping

import numpy as np
from report import Check, Report

from inference.engines import Run

TURN = 2e-3
"""Seconds that a turn takes at least."""
TOLERANCE = 1e-4
"""Largest difference, relative to the largest output."""


def medians(runs: Mapping[str, Run], rounds: int) -> dict[str, float]:
    """Median seconds of a call of each, in turn.

    A turn is one call that no clock sees, so that an engine finds its own data in the cache and not its neighbour's,
    then calls for TURN seconds: the same number for all.
    """
    count = max(1, int(TURN / max(_seconds(run) for run in runs.values())))
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            run()
            began = time.perf_counter()
            for _ in range(count):
                run()
            taken[name].append((time.perf_counter() - began) / count)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def _seconds(run: Run) -> float:
    run()
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def compared(report: Report, name: str, runs: Mapping[str, Run], reference: str) -> None:
    """Add how far ours is from the reference; every contestant farther than TOLERANCE ends the benchmark."""
    wanted = runs[reference]()
    scale = float(np.abs(wanted).max())
    far = {engine: float(np.abs(run() - wanted).max()) / scale for engine, run in runs.items()}
    wrong = [engine for engine, difference in far.items() if not difference <= TOLERANCE]
    if wrong:
        raise SystemExit(f"{name}: {', '.join(wrong)} and {reference} differ by more than {TOLERANCE}")
    report.checks.append(Check(f"{name}_difference", far["ours"], "relative", TOLERANCE, direction="<="))
