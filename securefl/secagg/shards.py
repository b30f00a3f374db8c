"""Cohorts too large for one complete graph: balanced shards, each a session of its own, whose finished sums are added.

A shard has its own roster, threshold and row floor, and the full number of colluders: all of them may be in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TypeVar

from securefl.errors import LocalProtocolError
from securefl.secagg.masking import Words
from securefl.secagg.params import COMPLETE_GRAPH_CLIENTS

T = TypeVar("T")


def split(cohort: Sequence[T], largest: int = COMPLETE_GRAPH_CLIENTS) -> list[list[T]]:
    """ceil(n / largest) shards whose sizes differ by one at most, in the order of `cohort`."""
    if largest < 1:
        raise LocalProtocolError(f"largest: a shard of at most {largest} clients holds nobody; use 3 or more")
    count = -(-len(cohort) // largest)
    bounds = [len(cohort) * i // count for i in range(count + 1)] if count else [0]
    return [list(cohort[start:end]) for start, end in pairwise(bounds)]


def add(sums: Sequence[Mapping[str, Words]]) -> dict[str, Words]:
    """Add one finished sum of several shards, segment by segment, in the ring. The shards share their `Sum`."""
    if not sums:
        raise LocalProtocolError("sums: there is no shard to add")
    totals = {name: words.copy() for name, words in sums[0].items()}
    for other in sums[1:]:
        if {n: w.shape for n, w in other.items()} != {n: w.shape for n, w in totals.items()}:
            raise LocalProtocolError("sums: the shards do not have the same segments")
        for name, words in other.items():
            totals[name] += words
    return totals
