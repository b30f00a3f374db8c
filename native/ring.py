"""Vectors over Z_2^32 and Z_2^64: masks from AES-256 streams, quantization, and packing to any number of bits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from native import _native, library_aes

__all__ = [
    "Index",
    "Reals",
    "RingError",
    "Signs",
    "Words",
    "add_streams",
    "add_row_streams",
    "add_tagged_rows",
    "backends",
    "pack",
    "pack_backends",
    "quantize",
    "unpack",
]

Words: TypeAlias = NDArray[np.uint32] | NDArray[np.uint64]
Reals: TypeAlias = NDArray[np.float32] | NDArray[np.float64]
Signs: TypeAlias = bool | NDArray[np.bool_]
Index: TypeAlias = Sequence[NDArray[np.int64]]

LIBRARY = "cryptography"
KEY_BYTES = DIGEST_BYTES = 32
BLOCK_BYTES = 16
MAX_BLOCKS = 2**40
MAX_ROW_BLOCKS = 2**16
MAX_THREADS = 64
_BACKENDS = (*_native.mask_backends(), LIBRARY)
_PACK_BACKENDS = tuple(_native.pack_backends())


class RingError(ValueError):
    """An argument of a ring operation is out of its range, or an array has the wrong shape or dtype."""


def backends() -> tuple[str, ...]:
    """Names of the AES backends this machine can run, best first. All give the same bits.

    "cryptography" goes through that library and numpy, and is always there: AES in portable C would leak its key
    through the cache.
    """
    return _BACKENDS


def add_streams(
    out: Words,
    keys: bytes,
    *,
    subtract: Signs = False,
    first: int = 0,
    threads: int = 1,
    backend: str | None = None,
) -> None:
    """Add the AES-256-CTR keystream of every key to ``out`` in place, wrapping; or subtract it.

    out: (n,) uint32 or uint64, C-contiguous and writable. keys: 32 bytes each, end to end. subtract: for all keys, or
    (K,) bool. Word 0 meets block ``first``, so that a part of a long vector can be masked alone; the last block is
    below 2**40. Block i of a stream is AES_key(i), i as 128-bit big-endian (NIST SP 800-38A); its words are
    little-endian. All keys pass over a tile of ``out`` while it is in the cache; threads (1..64) share its tiles.
    backend: one of :func:`backends`, else the best. Raises RingError.
    """
    _check_out(out, 1)
    signs = _signs(subtract, _count_keys(keys, KEY_BYTES))
    blocks = -(-out.nbytes // BLOCK_BYTES)
    if not 0 <= first <= MAX_BLOCKS - blocks:
        raise RingError(f"first must be in 0..2**40 - {blocks} for a vector of {blocks} blocks, not {first}")
    _check_threads(threads)
    name = _choose(backend)
    if name == LIBRARY:
        library_aes.add_streams(out, keys, signs, first)
    else:
        _native.add_streams(name, out, keys, signs, first, threads)


def add_row_streams(
    out: Words,
    keys: bytes,
    digests: NDArray[np.uint8],
    *,
    index: Index | None = None,
    subtract: Signs = False,
    threads: int = 1,
    backend: str | None = None,
) -> None:
    """Add to each row of ``out`` the stream of every key that belongs to the row's digest; or subtract it.

    out: (R, W) uint32 or uint64, C-contiguous and writable, rows of at most 2**16 blocks of 16 bytes. keys: 64 bytes
    each, a tag key and a stream key. digests: (R, 32) uint8. index: for each key the rows it touches, (k,) int64 in
    ascending order; None is all rows, for every key. With D the digest of a row, its tag is the first 14 bytes of
    AES_tag_key(AES_tag_key(D[0:16]) xor D[16:32]) and block i of its stream AES_stream_key(tag || i), i as 16-bit
    big-endian; words are little-endian. Any row can be made alone, and nobody without the tag key can look for
    colliding tags. The rest is as in :func:`add_streams`. Raises RingError.
    """
    _add_rows(out, keys, digests, index, subtract, threads, backend, tagged=False)


def add_tagged_rows(
    out: Words,
    keys: bytes,
    tags: NDArray[np.uint8],
    *,
    index: Index | None = None,
    subtract: Signs = False,
    threads: int = 1,
    backend: str | None = None,
) -> None:
    """:func:`add_row_streams` with the same tags under every key of 32 bytes.

    tags: (R, 16) uint8, distinct in their first 14 bytes; the last two, the block index's place, are not looked at.
    """
    _add_rows(out, keys, tags, index, subtract, threads, backend, tagged=True)


def _add_rows(
    out: Words,
    keys: bytes,
    names: NDArray[np.uint8],
    index: Index | None,
    subtract: Signs,
    threads: int,
    backend: str | None,
    *,
    tagged: bool,
) -> None:
    _check_out(out, 2)
    rows, width = out.shape
    if width * out.itemsize > BLOCK_BYTES * MAX_ROW_BLOCKS:
        raise RingError(f"rows of {width} words need more than 2**16 blocks of 16 bytes; cut them into shorter rows")
    count = _count_keys(keys, KEY_BYTES if tagged else 2 * KEY_BYTES)
    what, size = ("tags", BLOCK_BYTES) if tagged else ("digests", DIGEST_BYTES)
    names = _checked(names, what, np.uint8, (rows, size))
    if np.may_share_memory(out, names):
        raise RingError(f"{what} overlap out; give a copy of them")
    signs = _signs(subtract, count)
    _check_threads(threads)
    parts = None if index is None else _checked_index(index, count, rows)
    name = _choose(backend)
    if name == LIBRARY:
        add = library_aes.add_tagged_rows if tagged else library_aes.add_row_streams
        add(out, keys, names, [np.arange(rows)] * count if parts is None else parts, signs)
        return
    joined, ends = (None, None) if parts is None else _joined(parts)
    kernel = _native.add_tagged_rows if tagged else _native.add_row_streams
    kernel(name, out, keys, names, joined, ends, signs, threads)


def quantize(
    out: Words,
    values: Reals,
    weights: NDArray[np.uint32],
    *,
    clip: float,
    levels: int,
    key: bytes,
    backend: str | None = None,
) -> None:
    """Clip values, scale them, round them stochastically, and weigh them: floats to words of a ring.

    values: (R, d) float32 or float64. weights: (R,) uint32. out: (R, d + 1) uint32 or uint64, where row r becomes
    weights[r] * n for each of its values and then weights[r], in two's complement. n is v = clipped / clip * levels in
    doubles, rounded up with probability equal to its fraction, to 2^-32, else down; |n| <= levels. Draw i, counted row
    after row, is word i of the AES-256-CTR stream of ``key``, 32 bytes that must be fresh and secret where rounding is
    part of privacy. clip: above 0, finite. levels: 1..2**31 - 1. Raises RingError, also for NaN and infinity, after
    which out means nothing.
    """
    _check_out(out, 2)
    if values.dtype not in (np.float32, np.float64) or values.ndim != 2:
        raise RingError(f"values must be a 2-D float32 or float64 array, not {values.ndim}-D {values.dtype}")
    rows, width = values.shape
    if out.shape != (rows, width + 1):
        raise RingError(f"out must be of shape {(rows, width + 1)}: a column more than values, not {out.shape}")
    weights = _checked(weights, "weights", np.uint32, (rows,))
    if not 0 < clip < np.inf or not 1 <= levels < 2**31:
        raise RingError(f"clip must be above 0 and finite and levels in 1..2**31 - 1, not {clip} and {levels}")
    if len(key) != KEY_BYTES:
        raise RingError(f"key must have 32 bytes, not {len(key)}")
    values, name = np.require(values, requirements=["C", "A"]), _choose(backend)
    if np.may_share_memory(out, values) or np.may_share_memory(out, weights):
        raise RingError("values or weights overlap out; give a copy of them")
    if name == LIBRARY:
        draws = np.zeros((rows, width), np.uint32)
        library_aes.add_streams(draws.reshape(-1), key, np.zeros(1, np.bool_), 0)
        finite = _native.quantize(out, values, weights, clip, levels, draws)
    else:
        finite = _native.quantize_stream(name, out, values, weights, clip, levels, key)
    if not finite:
        raise RingError("values hold NaN or infinity")


def pack_backends() -> tuple[str, ...]:
    """Names of the backends of :func:`pack` and :func:`unpack` on this machine, best first. All give the same bits."""
    return _PACK_BACKENDS


def pack(values: Words, bits: int, *, backend: str | None = None) -> bytes:
    """Cut each value to ``bits`` (1..64) and lay them end to end, least significant bit first.

    values: (n,) uint32 or uint64. Returns ceil(n * bits / 8) bytes, padded with zero bits. backend: one of
    :func:`pack_backends`, else the best. Raises RingError.
    """
    _check_pack_backend(backend)
    _check_bits(bits)
    if values.dtype not in (np.uint32, np.uint64) or values.ndim != 1:
        raise RingError(f"values must be a 1-D uint32 or uint64 array, not {values.ndim}-D {values.dtype}")
    return _native.pack(backend, np.ascontiguousarray(values), bits)


def unpack(
    data: bytes | memoryview, bits: int, count: int, *, out: Words | None = None, backend: str | None = None
) -> Words:
    """Read back ``count`` values of ``bits`` bits each: uint32 when bits <= 32, else uint64.

    Exactly what :func:`pack` can have written is accepted: a wrong length or a non-zero padding bit is a RingError.
    out: where the values go, (count,) of that dtype; without it they go to a new array, whose fresh memory costs more
    than the unpacking.
    """
    _check_pack_backend(backend)
    _check_bits(bits)
    size = -(-count * bits // 8)
    if count < 0 or len(data) != size:
        raise RingError(f"{count} values of {bits} bits take {size} bytes, not {len(data)}")
    used = count * bits % 8
    if used and data[-1] >> used:
        raise RingError("the padding bits after the last value are not zero")
    dtype = np.uint32 if bits <= 32 else np.uint64
    if out is not None and (out.dtype != dtype or out.size != count):
        raise RingError(f"out must be {dtype.__name__} of shape {(count,)}, not {out.dtype} of {out.shape}")
    values: Words = _empty(count, bits) if out is None else out
    _check_out(values, 1)
    _native.unpack(backend, values, data, bits)
    return values


def _empty(count: int, bits: int) -> Words:
    return np.empty(count, np.uint32) if bits <= 32 else np.empty(count, np.uint64)


def _choose(backend: str | None) -> str:
    if backend is None:
        return _BACKENDS[0]
    if backend not in _BACKENDS:
        raise RingError(f"no backend {backend!r} on this machine; choose one of {', '.join(_BACKENDS)}")
    return backend


def _check_pack_backend(backend: str | None) -> None:
    if backend is not None and backend not in _PACK_BACKENDS:
        raise RingError(f"no backend {backend!r} on this machine; choose one of {', '.join(_PACK_BACKENDS)}")


def _check_out(out: Words, dims: int) -> None:
    if out.dtype not in (np.uint32, np.uint64) or out.ndim != dims:
        raise RingError(f"out must be a {dims}-D uint32 or uint64 array, not {out.ndim}-D {out.dtype}")
    if not out.flags.carray:
        raise RingError("out must be C-contiguous, aligned and writable; give a copy made by np.array(out)")


def _count_keys(keys: bytes, size: int) -> int:
    if len(keys) % size:
        raise RingError(f"keys must have {size} bytes each, not {len(keys)} in all")
    return len(keys) // size


def _signs(subtract: Signs, count: int) -> NDArray[np.bool_]:
    """(K,): which keys are subtracted."""
    signs = np.asarray(subtract)
    if signs.dtype != np.bool_ or signs.shape not in ((), (count,)):
        raise RingError(f"subtract must be a bool or {count} bools, one a key, not {signs.dtype} of {signs.shape}")
    return np.ascontiguousarray(np.broadcast_to(signs, count))


def _check_threads(threads: int) -> None:
    if not 1 <= threads <= MAX_THREADS:
        raise RingError(f"threads must be in 1..{MAX_THREADS}, not {threads}")


def _check_bits(bits: int) -> None:
    if not 1 <= bits <= 64:
        raise RingError(f"bits must be in 1..64, not {bits}")


def _checked(array: NDArray[Any], name: str, dtype: type[np.generic], shape: tuple[int, ...]) -> NDArray[Any]:
    if array.dtype != dtype or array.shape != shape:
        raise RingError(f"{name} must be {dtype.__name__} of shape {shape}, not {array.dtype} of {array.shape}")
    return np.require(array, requirements=["C", "A"])


def _checked_index(index: Index, count: int, rows: int) -> list[NDArray[np.int64]]:
    if len(index) != count:
        raise RingError(f"index must hold {count} arrays of rows, one a key, not {len(index)}")
    parts = [_checked(part, "index", np.int64, (part.size,)) for part in index]
    joined, ends = _joined(parts)
    if joined.size and (joined.min() < 0 or joined.max() >= rows):
        raise RingError(f"index names a row outside 0..{rows - 1}")
    falls = np.flatnonzero(joined[1:] <= joined[:-1]) + 1
    if not np.isin(falls, ends).all():
        raise RingError("index names a row twice, or not in ascending order")
    return parts


def _joined(parts: list[NDArray[np.int64]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The numbers of all keys end to end, and where those of each end."""
    ends = np.cumsum([part.size for part in parts], dtype=np.int64)
    return np.concatenate([np.empty(0, np.int64), *parts]), ends
