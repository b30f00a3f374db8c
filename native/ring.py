"""Vectors over Z_2^32 and Z_2^64: masks from AES-256 streams, and packing to any number of bits."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from native import _native, library_aes

__all__ = ["RingError", "Words", "add_stream", "add_row_streams", "backends", "pack", "unpack"]

Words: TypeAlias = NDArray[np.uint32] | NDArray[np.uint64]

LIBRARY = "cryptography"
MAX_ROW_BLOCKS = 2**16
_BACKENDS = (*_native.mask_backends(), LIBRARY)


class RingError(ValueError):
    """An argument of a ring operation is out of its range, or an array has the wrong shape or dtype."""


def backends() -> tuple[str, ...]:
    """Names of the AES backends this machine can run, best first. All give the same bits.

    "cryptography" goes through that library and numpy, and is always there: AES in portable C would leak its key
    through the cache.
    """
    return _BACKENDS


def add_stream(out: Words, key: bytes, *, subtract: bool = False, backend: str | None = None) -> None:
    """Add the AES-256-CTR keystream of ``key`` to ``out`` in place, wrapping; or subtract it.

    out: (n,) uint32 or uint64, C-contiguous and writable. key: 32 bytes. Block i of the stream is AES_key(i), i as
    128-bit big-endian (NIST SP 800-38A); its words are little-endian. backend: one of :func:`backends`, else the best.
    Raises RingError.
    """
    _check_out(out, 1)
    _check_key(key, "key")
    name = _choose(backend)
    if name == LIBRARY:
        library_aes.add_stream(out, key, subtract=subtract)
    else:
        _native.add_stream(name, out, key, subtract)


def add_row_streams(
    out: Words,
    tag_key: bytes,
    stream_key: bytes,
    digests: NDArray[np.uint8],
    *,
    index: NDArray[np.int64] | None = None,
    subtract: bool = False,
    backend: str | None = None,
) -> None:
    """Add to each row of ``out`` the stream that belongs to the row's digest, in place, wrapping; or subtract it.

    out: (R, W) uint32 or uint64, C-contiguous and writable, rows of at most 2**16 blocks of 16 bytes.
    digests: (R, 32) uint8. index: the distinct rows to touch, (k,) int64; None is all of them. With D the digest of
    a row, its tag is the first 14 bytes of AES_tag_key(AES_tag_key(D[0:16]) xor D[16:32]) and block i of its stream
    AES_stream_key(tag || i), i as 16-bit big-endian; words are little-endian. Any row can be made alone, and nobody
    without tag_key can look for colliding tags. Raises RingError.
    """
    _check_out(out, 2)
    _check_key(tag_key, "tag_key")
    _check_key(stream_key, "stream_key")
    rows, width = out.shape
    if width * out.itemsize > 16 * MAX_ROW_BLOCKS:
        raise RingError(f"rows of {width} words need more than 2**16 blocks of 16 bytes; cut them into shorter rows")
    digests = _checked(digests, "digests", np.uint8, (rows, 32))
    if np.may_share_memory(out, digests):
        raise RingError("digests overlap out; give a copy of them")
    if index is not None:
        index = _checked(index, "index", np.int64, (index.size,))
        _check_rows(index, rows)
    name = _choose(backend)
    if name == LIBRARY:
        chosen = np.arange(rows) if index is None else index
        library_aes.add_row_streams(out, tag_key, stream_key, digests, chosen, subtract=subtract)
    else:
        _native.add_row_streams(name, out, tag_key, stream_key, digests, index, subtract)


def pack(values: Words, bits: int) -> bytes:
    """Cut each value to ``bits`` (1..64) and lay them end to end, least significant bit first.

    values: (n,) uint32 or uint64. Returns ceil(n * bits / 8) bytes, padded with zero bits. Raises RingError.
    """
    _check_bits(bits)
    if values.dtype not in (np.uint32, np.uint64) or values.ndim != 1:
        raise RingError(f"values must be a 1-D uint32 or uint64 array, not {values.ndim}-D {values.dtype}")
    return _native.pack(np.ascontiguousarray(values), bits)


def unpack(data: bytes | memoryview, bits: int, count: int) -> Words:
    """Read back ``count`` values of ``bits`` bits each: uint32 when bits <= 32, else uint64.

    Exactly what :func:`pack` can have written is accepted: a wrong length or a non-zero padding bit is a RingError.
    """
    _check_bits(bits)
    size = -(-count * bits // 8)
    if count < 0 or len(data) != size:
        raise RingError(f"{count} values of {bits} bits take {size} bytes, not {len(data)}")
    used = count * bits % 8
    if used and data[-1] >> used:
        raise RingError("the padding bits after the last value are not zero")
    values: Words = np.empty(count, np.uint32) if bits <= 32 else np.empty(count, np.uint64)
    _native.unpack(values, data, bits)
    return values


def _choose(backend: str | None) -> str:
    if backend is None:
        return _BACKENDS[0]
    if backend not in _BACKENDS:
        raise RingError(f"no backend {backend!r} on this machine; choose one of {', '.join(_BACKENDS)}")
    return backend


def _check_out(out: Words, dims: int) -> None:
    if out.dtype not in (np.uint32, np.uint64) or out.ndim != dims:
        raise RingError(f"out must be a {dims}-D uint32 or uint64 array, not {out.ndim}-D {out.dtype}")
    if not out.flags.carray:
        raise RingError("out must be C-contiguous, aligned and writable; give a copy made by np.array(out)")


def _check_key(key: bytes, name: str) -> None:
    if len(key) != 32:
        raise RingError(f"{name} must have 32 bytes, not {len(key)}")


def _check_bits(bits: int) -> None:
    if not 1 <= bits <= 64:
        raise RingError(f"bits must be in 1..64, not {bits}")


def _checked(array: NDArray[Any], name: str, dtype: type[np.generic], shape: tuple[int, ...]) -> NDArray[Any]:
    if array.dtype != dtype or array.shape != shape:
        raise RingError(f"{name} must be {dtype.__name__} of shape {shape}, not {array.dtype} of {array.shape}")
    return np.require(array, requirements=["C", "A"])


def _check_rows(index: NDArray[np.int64], rows: int) -> None:
    if not index.size:
        return
    if index.min() < 0 or index.max() >= rows:
        raise RingError(f"index names a row outside 0..{rows - 1}")
    increasing = bool((index[1:] > index[:-1]).all())
    if not increasing and np.unique(index).size < index.size:
        raise RingError("index names a row twice")
