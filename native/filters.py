"""Bloom filters over 64-bit keys, one bit a cell: insert, look up, and test a whole range of keys."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from native import _native
from native.arrays import plain

__all__ = ["BitsError", "Bits", "MAX_CELLS", "MAX_HASHES", "backends", "words", "insert", "contains", "members"]

Bits = NDArray[np.uint32]
"""Cell c is bit c % 32 of word c // 32; the bits of the last word beyond the last cell are not looked at."""
Keys = NDArray[np.uint64]

MAX_CELLS = 2**32 - 1
MAX_HASHES = 32
_BACKENDS = tuple(_native.bloom_backends())


class BitsError(ValueError):
    """An argument of a filter operation is out of its range, or an array has the wrong shape or dtype."""


def backends() -> tuple[str, ...]:
    """Names of the backends this machine can run, best first, "portable" last. All give the same bits."""
    return _BACKENDS


def words(cells: int) -> int:
    """Words of 32 bits in which that many cells fit."""
    return -(-cells // 32)


def insert(bits: Bits, cells: int, hashes: int, keys: Keys, *, backend: str | None = None) -> None:
    """Set the cells of every key, in place.

    bits: (words(cells),) uint32, C-contiguous and writable. cells: 1..2**32 - 1. hashes: 1..32. keys: (n,) uint64.
    Probe j of a key is a + j (b | 1) modulo 2**64, where a and b are the halves of its MurmurHash3_x64_128 with seed 0;
    it falls on cell floor(probe * cells / 2**64). Not constant in time: keys choose addresses. backend: one of
    :func:`backends`, else the best. Raises BitsError.
    """
    _check_bits(bits, cells, hashes)
    _check_backend(backend)
    keys = _checked(keys)
    if not bits.flags.carray:
        raise BitsError("bits must be C-contiguous, aligned and writable; give a copy made by np.array(bits)")
    if np.may_share_memory(bits, keys):
        raise BitsError("keys overlap bits; give a copy of them")
    _native.bloom_insert(backend, bits, cells, hashes, keys)


def contains(bits: Bits, cells: int, hashes: int, keys: Keys, *, backend: str | None = None) -> NDArray[np.bool_]:
    """Whether all cells of each key are set, (n,) bool. Arguments as in :func:`insert`."""
    _check_bits(bits, cells, hashes)
    _check_backend(backend)
    keys = _checked(keys)
    found = np.empty(keys.size, np.bool_)
    _native.bloom_contains(backend, plain(bits), cells, hashes, found, keys)
    return found


def members(
    bits: Bits, cells: int, hashes: int, start: int, stop: int, *, backend: str | None = None
) -> NDArray[np.int64]:
    """The keys start..stop - 1 whose cells are all set, ascending int64 (n,); 0 <= start <= stop < 2**63.

    Reserves 8 bytes for every key of the range and touches them for those found: cut long ranges into pieces.
    """
    _check_bits(bits, cells, hashes)
    _check_backend(backend)
    if not 0 <= start <= stop < 2**63:
        raise BitsError(f"start={start} and stop={stop} must satisfy 0 <= start <= stop < 2**63")
    room = np.empty(stop - start, np.int64)
    count = _native.bloom_members(backend, plain(bits), cells, hashes, room, start)
    return room[:count].copy()


def _check_backend(backend: str | None) -> None:
    if backend is not None and backend not in _BACKENDS:
        raise BitsError(f"no backend {backend!r} on this machine; choose one of {', '.join(_BACKENDS)}")


def _check_bits(bits: Bits, cells: int, hashes: int) -> None:
    if not 1 <= cells <= MAX_CELLS:
        raise BitsError(f"cells must be in 1..2**32 - 1, not {cells}")
    if not 1 <= hashes <= MAX_HASHES:
        raise BitsError(f"hashes must be in 1..{MAX_HASHES}, not {hashes}")
    if bits.dtype != np.uint32 or bits.shape != (words(cells),):
        raise BitsError(f"bits must be uint32 of shape {(words(cells),)}, not {bits.dtype} of {bits.shape}")


def _checked(keys: Keys) -> Keys:
    if keys.dtype != np.uint64 or keys.ndim != 1:
        raise BitsError(f"keys must be a 1-D uint64 array, not {keys.ndim}-D {keys.dtype}")
    return plain(keys)
