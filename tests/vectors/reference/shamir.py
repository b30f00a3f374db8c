"""Shamir's sharing of 32-byte secrets over GF(2^61 - 1). docs/spec/derivations.md, section 5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

PRIME = 2**61 - 1
LIMBS = (7, 7, 7, 7, 4)
"""Bytes of the limbs of a secret, each below the prime."""

Coefficients = Sequence[Sequence[int]]
"""[power - 1][limb], each below the prime."""


def share(secret: bytes, coefficients: Coefficients, x: int) -> bytes:
    """The values at x of five polynomials whose constant terms are the limbs, 8 bytes each, little-endian."""
    values = limbs_of(secret)
    for power, row in enumerate(coefficients, start=1):
        values = [(value + c * pow(x, power, PRIME)) % PRIME for value, c in zip(values, row, strict=True)]
    return b"".join(value.to_bytes(8, "little") for value in values)


def reconstruct(shares: Mapping[int, bytes]) -> bytes:
    """The secret from t shares by their points; ValueError if they encode none."""
    points = {x: [int.from_bytes(data[at : at + 8], "little") for at in range(0, 40, 8)] for x, data in shares.items()}
    if any(word >= PRIME for words in points.values() for word in words):
        raise ValueError("a share is not canonical")
    weights = {x: weight(x, list(points)) for x in points}
    limbs = [sum(weights[x] * words[i] for x, words in points.items()) % PRIME for i in range(len(LIMBS))]
    if any(limb >= 256**size for limb, size in zip(limbs, LIMBS, strict=True)):
        raise ValueError("a limb is too long")
    return b"".join(limb.to_bytes(size, "little") for limb, size in zip(limbs, LIMBS, strict=True))


def weight(x: int, points: Sequence[int]) -> int:
    """Lagrange at zero: the product over the other points z of z / (z - x)."""
    product = 1
    for z in points:
        if z != x:
            product = product * z * pow(z - x, -1, PRIME) % PRIME
    return product


def limbs_of(secret: bytes) -> list[int]:
    starts = [sum(LIMBS[:i]) for i in range(len(LIMBS))]
    return [int.from_bytes(secret[at : at + size], "little") for at, size in zip(starts, LIMBS, strict=True)]
