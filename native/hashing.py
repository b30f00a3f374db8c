"""Batch hashing of 64-bit keys."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from native import _native
from native.arrays import plain

__all__ = ["HashingError", "backends", "murmur3_x64_128"]

Keys: TypeAlias = NDArray[np.uint64]

_BACKENDS = tuple(_native.murmur3_backends())


class HashingError(ValueError):
    """The keys are not a vector of uint64, the seed is out of its range, or a backend is not there."""


def backends() -> tuple[str, ...]:
    """Names of the backends this machine can run, best first. All give the same bits."""
    return _BACKENDS


def murmur3_x64_128(
    keys: Keys, seed: int = 0, *, out: NDArray[np.uint64] | None = None, backend: str | None = None
) -> NDArray[np.uint64]:
    """MurmurHash3_x64_128 of each key's eight little-endian bytes: (n,) uint64 -> (n, 2) uint64.

    Equal to ``mmh3.hash64(key.to_bytes(8, "little"), seed, signed=False)``. seed: 0..2**32 - 1. Not a cryptographic
    hash: whoever chooses keys can make them collide. out: where the hashes go, (n, 2) uint64, C-contiguous, apart from
    the keys; without it they go to a new array, whose fresh memory costs more than the hashing. backend: one of
    :func:`backends`, else the best. Raises HashingError.
    """
    if keys.dtype != np.uint64 or keys.ndim != 1:
        raise HashingError(f"keys must be a 1-D uint64 array, not {keys.ndim}-D {keys.dtype}")
    if not 0 <= seed < 2**32:
        raise HashingError(f"seed must be in 0..2**32 - 1, not {seed}")
    if backend is not None and backend not in _BACKENDS:
        raise HashingError(f"no backend {backend!r} on this machine; choose one of {', '.join(_BACKENDS)}")
    if out is None:
        out = np.empty((keys.size, 2), np.uint64)
    elif out.dtype != np.uint64:
        raise HashingError(f"out must be uint64, not {out.dtype}")
    try:
        _native.murmur3(backend, out, plain(keys), seed)
    except ValueError as error:  # out has another shape, is not contiguous or writable, or overlaps the keys
        raise HashingError(*error.args) from None
    return out
