"""From an index set to residues, and from the sum of everybody's residues to the union."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bloom import BloomFilter, positions
from dp import Rng, check_indices, uniform
from psu.errors import EncodingError, OversizedUnionError
from psu.plan import UnionPlan

__all__ = ["Progress", "encode", "decode"]

Progress = Callable[[int, int], None]
"""Called with how many indices of the universe were tested, and how many there are."""

CHUNK = 1 << 16
"""Indices tested at once: their hashes fit the cache of one core."""


def encode(plan: UnionPlan, indices: ArrayLike, rng: Rng = os.urandom) -> NDArray[np.uint32]:
    """Residues of an index set, (cells,): 0 where absent, exactly uniform in [1, 2^bits) where present.

    `indices`: sorted, free of repeats, in [0, universe); may be empty. The result is as secret as the set. Raises
    EncodingError, and dp.PrivacyError if `rng` fails.
    """
    chosen = check_indices(indices, "indices", below=plan.universe, error=EncodingError)
    if plan.kind == "filter":
        chosen = np.unique(positions(chosen, plan.cells, plan.hashes))
    residues = np.zeros(plan.cells, dtype=np.uint32)
    residues[chosen] = uniform(2**plan.bits - 1, chosen.size, rng) + np.uint64(1)
    return residues


def decode(
    plan: UnionPlan, sums: ArrayLike, *, limit: int | None = None, progress: Progress | None = None
) -> NDArray[np.int64]:
    """The union, sorted int64, (n,): what any client encoded, less what was lost, and a filter's false positives.

    `sums`: (cells,) unsigned integers, of which only the residues modulo 2^bits count: add encodings in any ring that
    wraps at a power of two no smaller. Memory grows with the cells and the union, not with the universe. More than
    `limit` indices (None: any number) raise OversizedUnionError as soon as they are seen, a wrong shape EncodingError.
    """
    members = _members(plan, sums)
    found: list[NDArray[np.int64]] = []
    total = 0
    for start in range(0, plan.universe, CHUNK):
        stop = min(start + CHUNK, plan.universe)
        hits = np.flatnonzero(members(start, stop)) + start
        found.append(hits)
        total += hits.size
        if limit is not None and total > limit:
            raise OversizedUnionError(
                f"the union holds more than limit={limit} indices; a client may have set every cell"
            )
        if progress:
            progress(stop, plan.universe)
    return np.concatenate(found)


def _members(plan: UnionPlan, sums: ArrayLike) -> Callable[[int, int], NDArray[np.bool_]]:
    """A test of the indices start..stop - 1 against the cells that are not zero."""
    array = np.asarray(sums)
    if array.shape != (plan.cells,) or array.dtype.kind != "u" or 8 * array.dtype.itemsize < plan.bits:
        raise EncodingError(f"sums must be {plan.cells} unsigned integers of at least {plan.bits} bits")
    occupied = (array & array.dtype.type(2**plan.bits - 1)) != 0
    if plan.kind == "bitmap":
        return lambda start, stop: occupied[start:stop]
    known = BloomFilter.from_occupied(occupied, plan.hashes)
    return lambda start, stop: known.contains(np.arange(start, stop, dtype=np.uint64))
