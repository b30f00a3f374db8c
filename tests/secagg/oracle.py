"""Masked inputs in plain Python, from the text of the protocol: integers, HMAC, TupleHash, and AES block by block."""

from __future__ import annotations

import hmac
import struct
from collections.abc import Sequence

from Crypto.Hash import TupleHash256
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from securefl.secagg import Params, Segment


def encode(label: bytes, *parts: bytes) -> bytes:
    return b"".join(struct.pack(">I", len(part)) + part for part in (label, *parts))


def expand(key: bytes, info: bytes, size: int) -> bytes:
    """HKDF-Expand of at most 64 bytes."""
    first = hmac.digest(key, info + b"\1", "sha256")
    return (first + hmac.digest(key, first + info + b"\2", "sha256"))[:size]


def aes(key: bytes, block: bytes) -> bytes:
    return Cipher(AES(key), ECB()).encryptor().update(block)  # noqa: S305 -- one block has no mode


def half(m: bytes, root: bytes, one: str, neighbour: int) -> bytes:
    return expand(m, encode(b"securefl/v1/half", root, one.encode(), struct.pack(">Q", neighbour)), 32)


def pad(seed: bytes, half_of_higher: bytes) -> bytes:
    key = expand(half_of_higher, encode(b"securefl/v1/pad"), 32)
    return bytes(a ^ b for a, b in zip(seed, key, strict=True))


def keys(
    seed: bytes, session: bytes, root: bytes, params: Params, one: str, segment: str, binding: bytes
) -> tuple[bytes, bytes]:
    """K0 and K1 of a seed in one segment."""
    context = TupleHash256.new(digest_bytes=32, custom=b"securefl/v1/mask")
    context.update(session, root, params.hash, one.encode(), segment.encode(), binding)
    both = expand(seed, encode(b"securefl/v1/stream", context.digest()), 64)
    return both[:32], both[32:]


def words(stream: bytes, segment: Segment) -> list[int]:
    size = 4 if segment.bits <= 32 else 8
    return [
        int.from_bytes(stream[at : at + size], "little") % (1 << segment.bits)
        for at in range(0, size * segment.words, size)
    ]


def dense_mask(k1: bytes, segment: Segment) -> list[int]:
    """Block = 112-bit number of the chunk of 2^16 blocks || 16-bit index in it."""
    blocks = -(-segment.words * (4 if segment.bits <= 32 else 8) // 16)
    numbered = ((i >> 16).to_bytes(14, "big") + (i & 0xFFFF).to_bytes(2, "big") for i in range(blocks))
    return words(b"".join(aes(k1, block) for block in numbered), segment)


def row_mask(k0: bytes, k1: bytes, digest: bytes, segment: Segment) -> list[int]:
    """Block = tag of the row || 16-bit index within it."""
    inner = bytes(a ^ b for a, b in zip(aes(k0, digest[:16]), digest[16:], strict=True))
    tag = aes(k0, inner)[:14]
    blocks = -(-segment.words * (4 if segment.bits <= 32 else 8) // 16)
    return words(b"".join(aes(k1, tag + i.to_bytes(2, "big")) for i in range(blocks)), segment)


def pack(values: Sequence[int], bits: int) -> bytes:
    """End to end, least significant bit first."""
    number = sum((value % (1 << bits)) << bits * i for i, value in enumerate(values))
    return number.to_bytes(-(-len(values) * bits // 8), "little")
