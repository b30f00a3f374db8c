"""Index sets on the wire: a sorted subset of range(size) as a bitmap or as gaps, whichever is shorter."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from securefl.errors import LocalProtocolError, MessageError

BITMAP, GAPS = 0, 1

Indices = NDArray[np.int64]


def encode(indices: Indices, size: int) -> bytes:
    """A kind byte, then the bitmap (LSB first) or the gaps between successive indices as LEB128 numbers."""
    if indices.size and (indices[0] < 0 or indices[-1] >= size or (np.diff(indices) <= 0).any()):
        raise LocalProtocolError(f"an index set is sorted, without repetition and below {size}")
    gaps = _encode_gaps(np.diff(indices, prepend=-1) - 1)
    if len(gaps) < -(-size // 8):
        return bytes((GAPS,)) + gaps
    bitmap = np.zeros(-(-size // 8), np.uint8)
    np.bitwise_or.at(bitmap, indices >> 3, np.uint8(1) << (indices & 7).astype(np.uint8))
    return bytes((BITMAP,)) + bitmap.tobytes()


def count(data: bytes) -> int:
    """How many indices these bytes hold if they are an index set: to refuse a large one before it takes memory."""
    if data[:1] == bytes((BITMAP,)):
        return int.from_bytes(data, "little").bit_count()
    return int(np.count_nonzero(np.frombuffer(data, np.uint8)[1:] < 128))


def decode(data: bytes, size: int) -> Indices:
    """The index set, int64 ascending; `MessageError` for anything that is not one below `size`.

    Takes memory for `count(data)` indices, whatever `size` is.
    """
    if not 1 <= len(data) <= 1 + -(-size // 8) or data[0] not in (BITMAP, GAPS):
        raise MessageError("not an index set of this universe")
    body = np.frombuffer(data, np.uint8, offset=1)
    indices = _decode_bitmap(body, size) if data[0] == BITMAP else _decode_gaps(body, size)
    if encode(indices, size) != data:
        raise MessageError("an index set that is not in canonical form")
    return indices


def _decode_bitmap(body: NDArray[np.uint8], size: int) -> Indices:
    if body.size != -(-size // 8) or (size % 8 and body[-1] >> (size % 8)):
        raise MessageError("a bitmap of the wrong length")
    places = np.flatnonzero(body)
    which, bit = np.nonzero(np.unpackbits(body[places], bitorder="little").reshape(-1, 8))
    return (8 * places[which] + bit).astype(np.int64)


def _encode_gaps(gaps: Indices) -> bytes:
    lengths = np.ones(gaps.size, np.int64)
    for more in range(1, 9):
        lengths += gaps >= 1 << (7 * more)
    ends = np.cumsum(lengths)
    out = np.zeros(int(ends[-1]) if gaps.size else 0, np.uint8)
    for at in range(int(lengths.max(initial=0))):
        has = lengths > at
        low = (gaps[has] >> (7 * at)) & 127
        more_follow = (lengths[has] > at + 1).astype(np.int64) << 7
        out[ends[has] - lengths[has] + at] = low | more_follow
    return out.tobytes()


def _decode_gaps(body: NDArray[np.uint8], size: int) -> Indices:
    if not body.size:
        return np.zeros(0, np.int64)
    last = body < 128
    starts = np.flatnonzero(np.concatenate(([True], last[:-1])))
    lengths = np.diff(np.append(starts, body.size))
    if not last[-1] or lengths.max() > 6:
        raise MessageError("gaps with an unfinished number, or one above 2^42")
    places = np.arange(body.size) - np.repeat(starts, lengths)
    gaps = np.add.reduceat((body & 127).astype(np.int64) << (7 * places), starts)
    if int(gaps.astype(np.float64).sum()) + gaps.size > size:
        raise MessageError("an index beyond the universe")
    return np.cumsum(gaps + 1) - 1
