"""Short calls are repeated within a turn, and every result is compared with onnxruntime's."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np
from report import Check, Report

from inference.engines import Run

TURN = 2e-3
"""Seconds that a turn takes at least."""
TOLERANCE = 1e-4
"""Largest difference, relative to the largest output."""


def repeated(runs: Mapping[str, Run]) -> dict[str, Callable[[], object]]:
    """The same number of calls for all in a turn, so that ratios stay ratios."""
    slowest = max(_seconds(run) for run in runs.values())
    count = max(1, int(TURN / slowest))

    def many(run: Run) -> Callable[[], object]:
        def calls() -> None:
            for _ in range(count):
                run()

        return calls

    return {name: many(run) for name, run in runs.items()}


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
