"""Labels, the injective encoding, and the three functions built on it. docs/spec/derivations.md, sections 1 and 2."""

from __future__ import annotations

import hashlib
import hmac

from Crypto.Hash import TupleHash256

Part = bytes | str | int


def as_bytes(part: Part) -> bytes:
    """Text as UTF-8, a number as 8 bytes, big-endian."""
    if isinstance(part, int):
        return part.to_bytes(8, "big")
    return part.encode() if isinstance(part, str) else part


def label_bytes(label: str) -> bytes:
    return f"securefl/v1/{label}".encode()


def encode(label: str, *parts: Part) -> bytes:
    """The label, then each part, every one of them behind its length in 4 bytes, big-endian."""
    strings = [label_bytes(label), *map(as_bytes, parts)]
    return b"".join(len(string).to_bytes(4, "big") + string for string in strings)


def digest(label: str, *parts: Part) -> bytes:
    return hashlib.sha256(encode(label, *parts)).digest()


def transcript_hash(label: str, *parts: Part) -> bytes:
    """TupleHash256 (NIST SP 800-185), 32 bytes, customised by the label."""
    return TupleHash256.new(digest_bytes=32, custom=label_bytes(label)).update(*map(as_bytes, parts)).digest()


def derive(key: bytes, label: str, *parts: Part, size: int = 32) -> bytes:
    """HKDF-Expand with SHA-256 (RFC 5869, section 2.3)."""
    return hkdf_expand(key, encode(label, *parts), size)


def hkdf_expand(key: bytes, info: bytes, size: int) -> bytes:
    out = block = b""
    for count in range(1, -(-size // 32) + 1):
        block = hmac.digest(key, block + info + bytes((count,)), "sha256")
        out += block
    return out[:size]


def xor(a: bytes, b: bytes) -> bytes:
    return bytes(x ^ y for x, y in zip(a, b, strict=True))
