"""The server's part of a union: which indices of a universe are in a filter.

universe_1e7_seconds: 10^7 indices against the bits of a filter of 10^5 at 1 %, to a sorted array (of 10^4 and 10^6 as
well). universe_1e9: a planned union of 10^5 indices among 10^9, from its sum of residues, in chunks that are counted
and dropped, by a process of its own, whose peak memory is told beside what it took before it began (`idle`).
"""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from core.turns import medians
from report import Check, Report

import bloom
import psu
from native import filters

UNIVERSE, HEADLINE = 10**7, 10**5
SIZES = (10**4, HEADLINE, 10**6)
GIGA = 10**9


def measure(report: Report, rounds: int) -> None:
    """Add the checks of this family."""
    sides = {}
    for keys in SIZES:
        known = filled(keys)
        sides[f"{keys:.0e}"] = partial(known.members, 0, UNIVERSE)
        if keys == HEADLINE:
            sides["portable"] = partial(
                filters.members, known._bits, known.cells, known.hashes, 0, UNIVERSE, backend="portable"
            )
    seconds = medians(sides, rounds)
    headline = seconds.pop(f"{HEADLINE:.0e}")
    report.checks.append(Check("universe_1e7_seconds", headline, "s", 0.1, 0.05, "<="))
    report.checks += [Check(f"universe_1e7_seconds_{name}", value, "s") for name, value in seconds.items()]
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
        report.checks += fresh.submit(streamed).result()


def filled(keys: int) -> bloom.BloomFilter:
    """A filter of that many indices of the universe at 1 %."""
    made = bloom.BloomFilter(*bloom.optimal_size(keys, 0.01))
    made.insert(np.random.default_rng(keys).choice(UNIVERSE, keys, replace=False))
    return made


def streamed(universe: int = GIGA, union: int = HEADLINE) -> list[Check]:
    """One union, decoded in chunks; raises if an index was lost."""
    idle = _peak()
    plan = psu.plan_union(universe, union, clients=100)
    held = np.unique(np.random.default_rng(1).integers(0, universe, union))
    sums = psu.encode(plan, held)
    began, found, still_missing = time.perf_counter(), 0, held.size
    for chunk in psu.decode_chunks(plan, sums):
        found += chunk.size
        inside = held[slice(*np.searchsorted(held, (chunk[0], chunk[-1] + 1)))] if chunk.size else chunk
        still_missing -= int(np.isin(inside, chunk, assume_unique=True).sum())
    seconds = time.perf_counter() - began
    if still_missing:
        raise SystemExit(f"universe: {still_missing} indices were lost")
    return [
        Check("universe_1e9_seconds", seconds, "s"),
        Check("universe_1e9_peak", _peak(), "MB"),
        Check("universe_1e9_peak_idle", idle, "MB"),
        Check("universe_1e9_found", found, "indices"),
        Check("universe_1e9_expected", held.size + plan.expected_false, "indices"),
    ]


def _peak() -> float:
    """Largest resident memory of this process so far. (getrusage would count its parent before exec as well.)"""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024
