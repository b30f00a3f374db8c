"""From an index set to residues, and from the sum of everybody's residues to the union."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bloom import BloomFilter, positions
from dp import Rng, check_indices, uniform
from psu.errors import EncodingError, OversizedUnionError
from psu.plan import UnionPlan

__all__ = ["Progress", "encode", "decode", "decode_chunks"]

Progress = Callable[[int, int], None]
"""Called with how many indices of the universe were tested, and how many there are."""

CHUNK = 1 << 18
"""Indices tested, or cells read, at once: about half a millisecond, and memory that stays in the cache."""


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
    return np.concatenate(list(decode_chunks(plan, sums, limit=limit, progress=progress)))


def decode_chunks(
    plan: UnionPlan, sums: ArrayLike, *, limit: int | None = None, progress: Progress | None = None
) -> Iterator[NDArray[np.int64]]:
    """`decode` piece by piece, ascending: memory grows with the cells only. A piece may be empty."""
    return _limited(_hits(plan, _checked(plan, sums)), plan.universe, limit, progress)


def _limited(
    chunks: Iterator[NDArray[np.int64]], universe: int, limit: int | None, progress: Progress | None
) -> Iterator[NDArray[np.int64]]:
    total = 0
    for number, hits in enumerate(chunks, 1):
        total += hits.size
        if limit is not None and total > limit:
            raise OversizedUnionError(
                f"the union holds more than limit={limit} indices; a client may have set every cell"
            )
        yield hits
        if progress:
            progress(min(number * CHUNK, universe), universe)


def _hits(plan: UnionPlan, sums: NDArray[np.unsignedinteger]) -> Iterator[NDArray[np.int64]]:
    """The indices of each chunk of the universe whose cells are not zero."""
    if plan.kind == "bitmap":
        return (np.flatnonzero(there) + start for start, there in _occupied(plan, sums))
    packed = np.concatenate([np.packbits(there, bitorder="little") for _, there in _occupied(plan, sums)])
    known = BloomFilter.from_packed(packed, plan.cells, plan.hashes)
    starts = range(0, plan.universe, CHUNK)
    return (known.members(start, min(start + CHUNK, plan.universe)) for start in starts)


def _occupied(plan: UnionPlan, sums: NDArray[np.unsignedinteger]) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    """Whether cells are not zero, chunk by chunk, with the number of the first."""
    residue = sums.dtype.type(2**plan.bits - 1)
    for start in range(0, plan.cells, CHUNK):
        yield start, (sums[start : start + CHUNK] & residue) != 0


def _checked(plan: UnionPlan, sums: ArrayLike) -> NDArray[np.unsignedinteger]:
    array = np.asarray(sums)
    if array.shape != (plan.cells,) or array.dtype.kind != "u" or 8 * array.dtype.itemsize < plan.bits:
        raise EncodingError(f"sums must be {plan.cells} unsigned integers of at least {plan.bits} bits")
    return array
