"""The masks of ``native.ring`` by way of the `cryptography` library and numpy, for CPUs without AES kernels here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR, ECB
from numpy.typing import NDArray

__all__ = ["add_streams", "add_row_streams", "add_tagged_rows"]

KEY, BLOCK = 32, 16  # bytes
CHUNK = 2**16  # bytes of pad held at once: stays in cache, and below what malloc maps afresh each time


def add_streams(out: NDArray[Any], keys: bytes, signs: NDArray[np.bool_], first: int) -> None:
    """As :func:`native.ring.add_streams`, for arguments already checked."""
    streams = [Cipher(AES(key), CTR(first.to_bytes(BLOCK, "big"))).encryptor() for key in _cut(keys, KEY)]
    step = CHUNK // out.itemsize
    for start in range(0, out.size, step):
        words = out[start : start + step]
        for stream, subtract in zip(streams, signs, strict=True):
            _mask(words, np.frombuffer(stream.update(bytes(words.nbytes)), np.uint8), subtract)


def add_row_streams(
    out: NDArray[Any],
    keys: bytes,
    digests: NDArray[np.uint8],
    index: Sequence[NDArray[np.int64]],
    signs: NDArray[np.bool_],
) -> None:
    """As :func:`native.ring.add_row_streams`, for arguments already checked."""
    for pair, chosen, subtract in zip(_cut(keys, 2 * KEY), index, signs, strict=True):
        for part in _parts(out, chosen):
            _mask_rows(out, part, _tags(digests[part], pair[:KEY]), pair[KEY:], subtract)


def add_tagged_rows(
    out: NDArray[Any],
    keys: bytes,
    tags: NDArray[np.uint8],
    index: Sequence[NDArray[np.int64]],
    signs: NDArray[np.bool_],
) -> None:
    """As :func:`native.ring.add_tagged_rows`, for arguments already checked."""
    for key, chosen, subtract in zip(_cut(keys, KEY), index, signs, strict=True):
        for part in _parts(out, chosen):
            _mask_rows(out, part, tags[part, :14], key, subtract)


def _cut(keys: bytes, size: int) -> list[bytes]:
    return [keys[start : start + size] for start in range(0, len(keys), size)]


def _parts(out: NDArray[Any], index: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The rows of an index, a few at a time."""
    step = max(1, CHUNK // max(1, out.shape[1] * out.itemsize))
    return [index[start : start + step] for start in range(0, index.size, step)]


def _mask_rows(
    out: NDArray[Any], chosen: NDArray[np.int64], tags: NDArray[np.uint8], key: bytes, subtract: bool
) -> None:
    rows, row_bytes = out[chosen], out.shape[1] * out.itemsize
    pads = _row_blocks(tags, key, -(-row_bytes // BLOCK))
    _mask(rows, np.ascontiguousarray(pads[:, :row_bytes]), subtract)
    out[chosen] = rows


def _tags(digests: NDArray[np.uint8], key: bytes) -> NDArray[np.uint8]:
    """(n, 32) digests -> (n, 14) tags: CBC-MAC of two blocks, cut to 112 bits."""
    inner = _encrypt(digests[:, :BLOCK], key)
    return _encrypt(inner ^ digests[:, BLOCK:], key)[:, :14]


def _row_blocks(tags: NDArray[np.uint8], key: bytes, count: int) -> NDArray[np.uint8]:
    """(n, 14) tags -> (n, 16 * count) bytes of stream."""
    blocks = np.empty((len(tags), count, BLOCK), np.uint8)
    blocks[:, :, :14] = tags[:, None]
    blocks[:, :, 14:] = np.arange(count, dtype=">u2").view(np.uint8).reshape(count, 2)
    return _encrypt(blocks, key).reshape(len(tags), count * BLOCK)


def _encrypt(blocks: NDArray[np.uint8], key: bytes) -> NDArray[np.uint8]:
    """AES of every 16-byte block: the bare block cipher, which is what the library calls ECB."""
    encryptor = Cipher(AES(key), ECB()).encryptor()  # noqa: S305 - blocks are distinct counters or a CBC-MAC
    return np.frombuffer(encryptor.update(blocks.tobytes()), np.uint8).reshape(blocks.shape)


def _mask(words: NDArray[Any], pad: NDArray[np.uint8], subtract: bool) -> None:
    """Words op= pad, in place; the pad's words are little-endian on every machine."""
    pads = pad.view(words.dtype.newbyteorder("<")).reshape(words.shape)
    (np.subtract if subtract else np.add)(words, pads, out=words)
