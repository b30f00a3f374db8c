"""Exact laws of counts of coins, in integers."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from itertools import accumulate
from math import prod

from gmpy2 import mpz  # type: ignore[import-untyped]  # ships no annotations

from dp.errors import PrivacyError

__all__ = ["MAX_TRIALS", "Count", "weights", "count"]

MAX_TRIALS = 4096
"""The most coins of an exact law of counts: beyond, its integers outgrow the memory."""


@dataclass(frozen=True)
class Count:
    """The law of a number of heads: P[k] = weights[k] / total, k = 0..n."""

    weights: tuple[int, ...] = field(repr=False)
    total: int = field(repr=False)

    def exactly(self, heads: int) -> Fraction:
        """P[just `heads`], 0 <= heads <= n."""
        return Fraction(self.weights[heads], self.total)

    def at_least(self, heads: int) -> Fraction:
        """P[`heads` or more]."""
        return Fraction(sum(self.weights[max(0, heads) :]), self.total)


def weights(trials: int, yes: int, no: int) -> list[int]:
    """C(trials, k) yes^k no^(trials - k) for k = 0..trials: P[k heads] times (yes + no)^trials."""
    if no == 0:
        return [0] * trials + [yes**trials]
    steps = range(trials)
    return list(accumulate(steps, lambda w, k: w * (trials - k) * yes // ((k + 1) * no), initial=no**trials))


def count(*groups: tuple[int, Fraction]) -> Count:
    """The law of the heads of n independent coins, given as groups (size, probability); n <= MAX_TRIALS.

    The product of the groups' generating functions (1 - p + p x)^size, in integers at x = 2^bits, so that coefficients
    do not overlap (Kronecker substitution). Raises PrivacyError.
    """
    trials = sum(size for size, _ in groups)
    if min((size for size, _ in groups), default=0) < 0 or trials > MAX_TRIALS:
        raise PrivacyError(f"{trials} coins: their exact law needs groups of at least 0 and {MAX_TRIALS} in all")
    if not all(0 <= p <= 1 for _, p in groups):
        raise PrivacyError("a coin's probability must be 0 to 1")
    total = prod(mpz(p.denominator) ** size for size, p in groups)
    bits = int(total).bit_length()
    product = prod((mpz(p.denominator - p.numerator) + (mpz(p.numerator) << bits)) ** size for size, p in groups)
    digits = (int((product >> (bits * k)) & ((mpz(1) << bits) - 1)) for k in range(trials + 1))
    return Count(tuple(digits), int(total))
