"""Contestants in turn: what one run of each costs under the load that all of them see."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

Contestants = Mapping[str, Callable[[], object]]


def medians(contestants: Contestants, rounds: int) -> dict[str, float]:
    """Median seconds of each over `rounds` turns, after one turn that no clock sees."""
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(rounds + 1):
        for name, run in contestants.items():
            began = time.perf_counter()
            run()
            if turn:
                taken[name].append(time.perf_counter() - began)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}
