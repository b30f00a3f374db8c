"""Mask streams, rows, and packed residues. docs/spec/derivations.md, sections 8 and 9."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from reference.transcript import derive, xor


def stream_keys(seed: bytes, context: bytes) -> tuple[bytes, bytes]:
    """K0, under which tags are made, and K1, under which the stream is."""
    both = derive(seed, "stream", context, size=64)
    return both[:32], both[32:]


def aes(key: bytes, block: bytes) -> bytes:
    """One block of AES-256 (FIPS 197)."""
    return Cipher(AES(key), ECB()).encryptor().update(block)  # noqa: S305 -- one block has no mode


def dense_mask(k1: bytes, words: int, bits: int, first: int = 0) -> list[int]:
    """Block i is AES of i as 16 bytes, big-endian. `first`: the block to begin with."""
    numbers = range(first, first + block_count(words, bits))
    return cut(b"".join(aes(k1, i.to_bytes(16, "big")) for i in numbers), words, bits)


def row_mask(k0: bytes, k1: bytes, digest: bytes, words: int, bits: int) -> list[int]:
    """Block i is AES of the row's tag, then i as 2 bytes, big-endian."""
    tag = row_tag(k0, digest)
    return cut(b"".join(aes(k1, tag + i.to_bytes(2, "big")) for i in range(block_count(words, bits))), words, bits)


def row_tag(k0: bytes, digest: bytes) -> bytes:
    return aes(k0, xor(aes(k0, digest[:16]), digest[16:]))[:14]


def word_bytes(bits: int) -> int:
    return 4 if bits <= 32 else 8


def block_count(words: int, bits: int) -> int:
    return -(-words * word_bytes(bits) // 16)


def cut(stream: bytes, words: int, bits: int) -> list[int]:
    """The first words of a stream, little-endian, each cut to its low bits."""
    size = word_bytes(bits)
    return [int.from_bytes(stream[size * i : size * i + size], "little") % 2**bits for i in range(words)]


def pack(values: Sequence[int], bits: int) -> bytes:
    """Value i, modulo 2^bits, at bit i * bits of one little-endian number."""
    number = sum((value % 2**bits) << i * bits for i, value in enumerate(values))
    return number.to_bytes(-(-len(values) * bits // 8), "little")


def unpack(data: bytes, bits: int, count: int) -> list[int]:
    """The way back; ValueError for anything that `pack` cannot have written."""
    number = int.from_bytes(data, "little")
    if len(data) != -(-count * bits // 8) or number >> count * bits:
        raise ValueError("a wrong length, or bits beyond the last residue")
    return [(number >> i * bits) % 2**bits for i in range(count)]
