"""Ed25519 signatures on which verifiers are known to differ: here they are refused. No library makes them."""

from __future__ import annotations

import hashlib
from functools import partial
from itertools import count
from typing import Any

from reference.setup import verify
from reference.transcript import encode

from cases.plain import refusal

PRIME, ORDER = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, PRIME) % PRIME
LABEL, SECRET, NONCE = "dealing", 12345, 67890

Point = tuple[int, int]


def vectors() -> dict[str, Any]:
    base = on_curve(4 * pow(5, -1, PRIME) % PRIME)
    pure, mixed = times(SECRET, base), add(times(SECRET, base), torsion())
    return {
        "accepted": signed("a plain one", pure, base, 0, 0),
        "refused": [
            refused("S is not reduced", pure, base, 0, ORDER),
            refused("it holds only if multiplied by the cofactor", mixed, base, telling_part(mixed, base), 0),
        ],
    }


def refused(why: str, public: Point, base: Point, part: int, more: int) -> dict[str, Any]:
    vector = signed(why, public, base, part, more)
    return vector | {"error": refusal(partial(verify, vector["public"], vector["signature"], LABEL, part))}


def signed(why: str, public: Point, base: Point, part: int, more: int) -> dict[str, Any]:
    """With `more` added to S."""
    s = (NONCE + challenge(public, base, part) * SECRET) % ORDER + more
    signature = packed(times(NONCE, base)) + s.to_bytes(32, "little")
    return {"why": why, "public": packed(public), "label": LABEL, "part": part, "signature": signature}


def telling_part(public: Point, base: Point) -> int:
    """A message whose challenge is no multiple of the cofactor 8."""
    return next(part for part in count() if challenge(public, base, part) % 8)


def challenge(public: Point, base: Point, part: int) -> int:
    hashed = hashlib.sha512(packed(times(NONCE, base)) + packed(public) + encode(LABEL, part)).digest()
    return int.from_bytes(hashed, "little") % ORDER


def torsion() -> Point:
    """A point of order 8."""
    candidates = (times(ORDER, on_curve(y)) for y in count(2) if is_on_curve(y))
    return next(point for point in candidates if times(4, point) != (0, 1))


def is_on_curve(y: int) -> bool:
    square = (y * y - 1) * pow(D * y * y + 1, -1, PRIME)
    return pow(square, (PRIME - 1) // 2, PRIME) == 1


def on_curve(y: int) -> Point:
    """The point with this y and an even x."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, PRIME) % PRIME
    root = pow(square, (PRIME + 3) // 8, PRIME)
    if root * root % PRIME != square:
        root = root * pow(2, (PRIME - 1) // 4, PRIME) % PRIME
    return (PRIME - root if root % 2 else root), y


def times(n: int, point: Point) -> Point:
    total: Point = (0, 1)
    while n:
        total, point, n = add(total, point) if n % 2 else total, add(point, point), n // 2
    return total


def add(a: Point, b: Point) -> Point:
    cross = D * a[0] * b[0] * a[1] * b[1]
    x, y = a[0] * b[1] + a[1] * b[0], a[1] * b[1] + a[0] * b[0]
    return x * pow(1 + cross, -1, PRIME) % PRIME, y * pow(1 - cross, -1, PRIME) % PRIME


def packed(point: Point) -> bytes:
    return (point[1] | point[0] % 2 << 255).to_bytes(32, "little")
