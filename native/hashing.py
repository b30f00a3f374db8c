"""Batch hashing of 64-bit keys."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from native import _native

__all__ = ["HashingError", "murmur3_x64_128"]


class HashingError(ValueError):
    """The keys are not a vector of uint64, or the seed is out of its range."""


def murmur3_x64_128(keys: NDArray[np.uint64], seed: int = 0) -> NDArray[np.uint64]:
    """MurmurHash3_x64_128 of each key's eight little-endian bytes: (n,) uint64 -> (n, 2) uint64.

    Equal to ``mmh3.hash64(key.to_bytes(8, "little"), seed, signed=False)``. seed: 0..2**32 - 1. Not a cryptographic
    hash: whoever chooses keys can make them collide. Raises HashingError.
    """
    if keys.dtype != np.uint64 or keys.ndim != 1:
        raise HashingError(f"keys must be a 1-D uint64 array, not {keys.ndim}-D {keys.dtype}")
    if not 0 <= seed < 2**32:
        raise HashingError(f"seed must be in 0..2**32 - 1, not {seed}")
    out = np.empty((keys.size, 2), np.uint64)
    _native.murmur3(out, np.require(keys, requirements=["C", "A"]), seed)
    return out
