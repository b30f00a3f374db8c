"""Bloom filters of 10^6 64-bit keys beside rbloom, same bits: batches of ours against its quickest calls on lists.

rbloom takes Python's `hash` of each object, which for an integer is little more than the number; ours hashes its eight
bytes with MurmurHash3. Keys lie ready in the form each side takes, an array and a list. Inserting includes making the
filter.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from core.turns import medians
from numpy.typing import NDArray
from rbloom import Bloom
from report import Check, Report

import bloom
from native import filters

KEYS = 10**6
RATE = 0.0098
"""rbloom sizes by the usual formula, which is too low: asked for 0.01 neither side would quite stay below it."""

Keys = NDArray[np.uint64]


def measure(report: Report, rounds: int) -> None:
    """Add the checks of this family."""
    generator = np.random.default_rng(0)
    held, absent = generator.integers(0, 2**63, KEYS, np.uint64), generator.integers(2**63, 2**64 - 1, KEYS, np.uint64)
    mixed = np.where(generator.random(KEYS) < 0.5, held, absent)
    as_list, mixed_list = held.tolist(), mixed.tolist()
    cells = Bloom(KEYS, RATE).size_in_bits
    hashes = bloom.optimal_hashes(cells, KEYS)
    ours, theirs = _filled(cells, hashes, held), Bloom(KEYS, RATE)
    theirs.update(as_list)
    seconds = medians(
        {
            "insert": partial(_filled, cells, hashes, held),
            "rbloom insert": lambda: Bloom(KEYS, RATE).update(as_list),
            "query": partial(ours.contains, mixed),
            "rbloom query": lambda: [key in theirs for key in mixed_list],
            "superset": partial(ours.issuperset, held),
            "rbloom superset": lambda: theirs.issuperset(as_list),
            "portable insert": partial(_portable_insert, cells, hashes, held),
        },
        rounds,
    )
    if not (ours.issuperset(held) and theirs.issuperset(as_list)):
        raise SystemExit("filters: a key was forgotten")
    report.checks += [
        Check("bloom_insert_ratio", seconds["rbloom insert"] / seconds["insert"], "x", 4, 6),
        Check("bloom_query_ratio", seconds["rbloom query"] / seconds["query"], "x", 5, 8),
        Check("bloom_issuperset_ratio", seconds["rbloom superset"] / seconds["superset"], "x", 3, 4),
        Check("bloom_false_positives", float(ours.contains(absent).mean()), "", 0.01, direction="<="),
        Check("rbloom_false_positives", sum(key in theirs for key in absent.tolist()) / KEYS, ""),
        Check("bloom_insert_time", 1e9 * seconds["insert"] / KEYS, "ns"),
        Check("bloom_query_time", 1e9 * seconds["query"] / KEYS, "ns"),
        Check("bloom_insert_portable_ratio", seconds["rbloom insert"] / seconds["portable insert"], "x"),
    ]
    report.notes.append(f"filters of {cells:,} bits and {hashes} hashes on both sides, on one thread")


def _filled(cells: int, hashes: int, keys: Keys) -> bloom.BloomFilter:
    made = bloom.BloomFilter(cells, hashes)
    made.insert(keys)
    return made


def _portable_insert(cells: int, hashes: int, keys: Keys) -> None:
    bits = np.zeros(filters.words(cells), np.uint32)
    filters.insert(bits, cells, hashes, keys, backend="portable")
