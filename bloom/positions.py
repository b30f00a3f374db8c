"""Where a key falls: to which cells of a filter. Everything that shares a filter shares this function.

Key i of a walk of probes is start + i step modulo 2^64 (Kirsch and Mitzenmacher, "Less hashing, same performance",
2006), start and odd step being the two halves of MurmurHash3 x64-128 with seed 0, the second with its lowest bit set.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate, repeat
from typing import Any, NamedTuple

import mmh3
import numpy as np
from numpy.typing import ArrayLike, NDArray

from bloom.errors import FilterError
from native.filters import MAX_CELLS, MAX_HASHES
from native.hashing import murmur3_x64_128

__all__ = [
    "MAX_CELLS",
    "MAX_HASHES",
    "Probes",
    "cell_of",
    "check_shape",
    "checked_keys",
    "positions",
    "probes",
    "probes_of_bytes",
]


class Probes(NamedTuple):
    """The walks of n keys, two (n,) arrays."""

    start: NDArray[np.uint64]
    step: NDArray[np.uint64]

    def cells(self, cells: int, hashes: int) -> NDArray[np.int64]:
        """The cells of each walk, (n, hashes) in [0, cells), repeats possible."""
        walk = accumulate(repeat(self.step, hashes - 1), initial=self.start)
        return np.stack([cell_of(probe, cells) for probe in walk], axis=1)


def check_shape(cells: int, hashes: int) -> None:
    """Refuse, with FilterError, a filter that cannot be built."""
    if not 1 <= cells <= MAX_CELLS:
        raise FilterError(f"cells={cells} must be 1 to {MAX_CELLS}")
    if not 1 <= hashes <= MAX_HASHES:
        raise FilterError(f"hashes={hashes} must be 1 to {MAX_HASHES}")


def checked_keys(keys: ArrayLike) -> NDArray[np.uint64]:
    """(n,) integers in [0, 2^64) of any dtype as uint64, not copied if they are already. Raises FilterError."""
    array = _of_integers(keys) if isinstance(keys, list | tuple) else np.asarray(keys)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise FilterError("keys must be a 1-D array of integers")
    if array.dtype.kind == "i" and array.size and array.min() < 0:
        raise FilterError("keys must not be negative")
    return np.ascontiguousarray(array, dtype=np.uint64)


def _of_integers(keys: list[Any] | tuple[Any, ...]) -> NDArray[Any]:
    """As an array. NumPy alone makes floats of integers on both sides of 2^63."""
    if not all(type(key) is int for key in keys):
        return np.asarray(keys)
    try:
        return np.array(keys, np.uint64)
    except OverflowError:
        raise FilterError("keys must be in 0 to 2^64 - 1; none may be negative") from None


def probes(keys: ArrayLike) -> Probes:
    """The walks of integer keys, each hashed as its eight little-endian bytes. Raises FilterError."""
    return _probes(murmur3_x64_128(checked_keys(keys)))


def probes_of_bytes(keys: Iterable[bytes]) -> Probes:
    """The walks of keys of any length; one of eight bytes is the integer it spells, little-endian.

    Raises FilterError.
    """
    try:
        digests = b"".join(map(mmh3.mmh3_x64_128_digest, keys))
    except TypeError:
        raise FilterError("keys must be bytes") from None
    return _probes(np.frombuffer(digests, "<u8").astype(np.uint64, copy=False).reshape(-1, 2))


def cell_of(probe: NDArray[np.uint64], cells: int) -> NDArray[np.int64]:
    """Cell of each probe: floor(probe * cells / 2^64), the multiply-shift range reduction (Lemire 2019)."""
    m, half = np.uint64(cells), np.uint64(32)
    low = (probe & np.uint64(0xFFFFFFFF)) * m >> half  # the product has 96 bits: take it in two halves
    return ((probe >> half) * m + low >> half).astype(np.int64)


def positions(keys: ArrayLike, cells: int, hashes: int) -> NDArray[np.int64]:
    """Cells of each integer key, (n, hashes) in [0, cells), repeats possible. Raises FilterError."""
    check_shape(cells, hashes)
    return probes(keys).cells(cells, hashes)


def _probes(digests: NDArray[np.uint64]) -> Probes:
    return Probes(digests[:, 0], digests[:, 1] | np.uint64(1))
