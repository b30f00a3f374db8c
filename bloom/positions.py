"""Where a key falls: 64-bit keys to cells of a filter. Everything that shares a filter shares this function."""

from __future__ import annotations

from itertools import accumulate, repeat

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bloom.errors import FilterError
from native.hashing import murmur3_x64_128

__all__ = ["MAX_CELLS", "MAX_HASHES", "check_shape", "probes", "cell_of", "positions"]

MAX_CELLS = 2**32 - 1
"""The range reduction below is exact for any 32-bit number of cells."""
MAX_HASHES = 32
"""Enough for false-positive rates down to 2^-32."""


def check_shape(cells: int, hashes: int) -> None:
    """Refuse, with FilterError, a filter that cannot be built."""
    if not 1 <= cells <= MAX_CELLS:
        raise FilterError(f"cells={cells} must be 1 to {MAX_CELLS}")
    if not 1 <= hashes <= MAX_HASHES:
        raise FilterError(f"hashes={hashes} must be 1 to {MAX_HASHES}")


def probes(keys: ArrayLike) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Start and odd step of each key's walk, two (n,) arrays; keys is (n,), integers in [0, 2^64).

    Probe i is start + i step mod 2^64 (Kirsch and Mitzenmacher, "Less hashing, same performance", 2006), from the
    two halves of MurmurHash3 x64-128. Raises FilterError.
    """
    digest = murmur3_x64_128(_checked(keys))
    return digest[:, 0], digest[:, 1] | np.uint64(1)


def cell_of(probe: NDArray[np.uint64], cells: int) -> NDArray[np.int64]:
    """Cell of each probe: floor(probe * cells / 2^64), the multiply-shift range reduction (Lemire 2019)."""
    m, half = np.uint64(cells), np.uint64(32)
    low = (probe & np.uint64(0xFFFFFFFF)) * m >> half  # the product has 96 bits: take it in two halves
    return ((probe >> half) * m + low >> half).astype(np.int64)


def positions(keys: ArrayLike, cells: int, hashes: int) -> NDArray[np.int64]:
    """Cells of each key, (n, hashes) in [0, cells), repeats possible; keys as in `probes`. Raises FilterError."""
    check_shape(cells, hashes)
    start, step = probes(keys)
    walk = accumulate(repeat(step, hashes - 1), initial=start)
    return np.stack([cell_of(probe, cells) for probe in walk], axis=1)


def _checked(keys: ArrayLike) -> NDArray[np.uint64]:
    array = np.asarray(keys)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise FilterError("keys must be a 1-D array of integers")
    if array.dtype.kind == "i" and np.any(array < 0):
        raise FilterError("keys must not be negative")
    return np.ascontiguousarray(array, dtype=np.uint64)
