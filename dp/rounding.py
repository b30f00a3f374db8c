"""Logarithms and exponentials with a known direction of rounding, by MPFR: what is called a bound is one."""

from __future__ import annotations

from fractions import Fraction
from math import inf
from typing import Any, Literal

import gmpy2  # type: ignore[import-untyped]  # ships no annotations

__all__ = ["Direction", "arithmetic", "exp", "log", "to_float"]

Direction = Literal["down", "nearest", "up"]

MODES = {"down": gmpy2.RoundDown, "nearest": gmpy2.RoundToNearest, "up": gmpy2.RoundUp}
BITS = 192


def arithmetic(direction: Direction, bits: int = BITS) -> Any:
    """A context in which every operation on `gmpy2.mpfr` rounds that way."""
    return gmpy2.context(precision=bits, round=MODES[direction])


def exp(x: Fraction | float, direction: Direction) -> Fraction:
    """e^x, of 192 bits. `x` is finite."""
    with arithmetic(direction):
        value = gmpy2.mpq(gmpy2.exp(gmpy2.mpfr(gmpy2.mpq(Fraction(x)))))
    return Fraction(int(value.numerator), int(value.denominator))


def log(numerator: Fraction | int, denominator: Fraction | int, direction: Direction = "nearest") -> float:
    """ln(numerator / denominator), both >= 0 and not both 0; -inf and inf where one is 0. Of any size, and near 1."""
    if denominator == 0:
        return inf
    with arithmetic(direction):
        ratio = gmpy2.mpq(numerator) / gmpy2.mpq(denominator)
        value = gmpy2.log1p(gmpy2.mpfr(ratio - 1))
    return to_float(value, direction)


def to_float(value: Any, direction: Direction) -> float:
    """The double next to an exact or MPFR value, on that side; subnormal numbers included."""
    if isinstance(value, Fraction):
        value = gmpy2.mpq(value)
    with gmpy2.context(precision=53, emax=1024, emin=-1073, subnormalize=True, round=MODES[direction]):
        return float(gmpy2.mpfr(value))
