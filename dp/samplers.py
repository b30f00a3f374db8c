"""Exact samples of noise on the integers, in vectors of int64, from random bytes alone.

Not constant-time: how many bytes are drawn, and how long that takes, tells something of the samples.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate
from itertools import count as count_from

import numpy as np
from gmpy2 import exp, lngamma, log, mpfr, mpq  # type: ignore[import-untyped]  # ships no annotations
from numpy.typing import NDArray

from dp.errors import PrivacyError
from dp.exponential import bernoulli_exp, streak
from dp.inversion import Bounds, Inversion
from dp.rounding import Direction, arithmetic
from dp.sampling import MAX_PASSES, Rng, uniform

__all__ = [
    "MAX_PARAMETER",
    "MAX_RATE",
    "check_parameter",
    "discrete_laplace",
    "discrete_gaussian",
    "poisson",
    "skellam",
]

MAX_PARAMETER = 2**38
"""Largest numerator and denominator of a scale or of sigma^2: all that follows then fits into 64 bits."""
MAX_RATE = 2**30
"""Largest rate of a Poisson law: its table holds some 20 words for each deviation, the square root of the rate."""
LONG = 2**12
"""No streak of coins of probability 1/e gets so long, and no sample so many deviations, unless `rng` is broken."""

Draw = Callable[[int], tuple[NDArray[np.int64], NDArray[np.bool_]]]


def discrete_laplace(scale: Fraction, count: int, rng: Rng = os.urandom) -> NDArray[np.int64]:
    """`count` samples with P[x] proportional to exp(-|x| / scale), scale > 0.

    Canonne, Kamath, Steinke 2020, Algorithm 2. Raises PrivacyError.
    """
    check_parameter("scale", scale)
    return _accepted(count, lambda n: _laplace(scale, n, rng))


def discrete_gaussian(sigma2: Fraction, count: int, rng: Rng = os.urandom) -> NDArray[np.int64]:
    """`count` samples with P[x] proportional to exp(-x^2 / (2 sigma2)), sigma2 > 0: its variance is sigma2 at most.

    Canonne, Kamath, Steinke 2020, Algorithm 3: a discrete Laplace sample y of scale t is kept with probability
    exp(-(|y| - sigma2 / t)^2 / (2 sigma2)). Their t is floor(sigma) + 1; the proof takes any. Here sigma2 / t is the
    rational u / m next below sigma with u or m = 1, so that exponents keep the denominator of sigma2. Raises
    PrivacyError.
    """
    check_parameter("sigma2", sigma2)
    a, b = sigma2.numerator, sigma2.denominator
    u, m = max(1, math.isqrt(a // b)), 1 if a >= b else math.isqrt((b - 1) // a) + 1

    def draw(n: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        y, kept = _laplace(sigma2 * m / u, n, rng)
        off = np.abs(m * np.abs(y) - u).astype(np.uint64)
        if off.max(initial=0) > math.isqrt(2**63 // b):
            raise _broken()
        kept[kept] = bernoulli_exp(off[kept] ** 2 * np.uint64(b), 2 * a * m * m, rng)
        return y, kept

    return _accepted(count, draw)


def poisson(rate: Fraction, count: int, rng: Rng = os.urandom) -> NDArray[np.int64]:
    """`count` samples of the Poisson law of `rate`, 0 < rate <= MAX_RATE, by `Inversion`. Raises PrivacyError.

    The first call for a rate makes a table: 0.1 s for a rate of 10^6, 2 s for the largest.
    """
    check_parameter("rate", rate)
    if rate > MAX_RATE:
        raise PrivacyError(f"rate={rate} must be at most {MAX_RATE}")
    return _poisson(rate).sample(count, rng)


def skellam(variance: Fraction, count: int, rng: Rng = os.urandom) -> NDArray[np.int64]:
    """`count` differences of two independent Poisson samples of rate `variance` / 2. Raises PrivacyError."""
    return poisson(variance / 2, count, rng) - poisson(variance / 2, count, rng)


def _laplace(scale: Fraction, n: int, rng: Rng) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    t, s = scale.numerator, scale.denominator
    u = uniform(t, n, rng)
    kept = bernoulli_exp(u, t, rng)
    v = streak(np.full(n, LONG, np.uint64), rng)
    if v.max(initial=0) == LONG:
        raise _broken()
    magnitude = ((u + np.uint64(t) * v) // np.uint64(s)).astype(np.int64)
    negative = uniform(2, n, rng) == 1
    return np.where(negative, -magnitude, magnitude), kept & ~(negative & (magnitude == 0))


def _accepted(count: int, draw: Draw) -> NDArray[np.int64]:
    """Draw for the entries that are missing until none is."""
    samples, missing = np.zeros(count, np.int64), np.arange(count)
    for _ in range(MAX_PASSES):
        if not missing.size:
            return samples
        values, kept = draw(missing.size)
        samples[missing[kept]] = values[kept]
        missing = missing[~kept]
    raise _broken()


@lru_cache(maxsize=16)
def _poisson(rate: Fraction) -> Inversion:
    return Inversion(lambda bits: _poisson_bounds(rate, bits))


def _poisson_bounds(rate: Fraction, bits: int) -> Bounds:
    """See `inversion.Bounds`."""
    first, last = _window(float(rate), bits)
    below = _partial_sums(rate, bits, first, last, "down")
    above = _partial_sums(rate, bits, first, last, "up")
    return first, below, above


def _partial_sums(rate: Fraction, bits: int, first: int, last: int, direction: Direction) -> list[int]:
    """2^bits P[X <= k] for first <= k <= last, every operation rounded in `direction`, also the last, to an integer."""
    n, d = rate.numerator, rate.denominator
    with arithmetic("down" if direction == "up" else "up", bits + 128):
        divisor = lngamma(first + 1)
    with arithmetic(direction, bits + 128):
        mass = exp(mpfr(mpq(-rate)) + first * log(mpfr(mpq(rate))) - divisor)
        masses = accumulate(range(first + 1, last + 1), lambda mass, k: mass * n / (d * k), initial=mass)
        before = mpfr(direction == "up" and first > 0) / 2**bits
        sums = accumulate(masses, initial=before)
        return [int(total * 2**bits) for total in sums][1:]


def _window(rate: float, bits: int) -> tuple[int, int]:
    """First and last k of a table: below, and from last + 1 on, there is less than 2^-bits (Chernoff, both sides)."""

    def outside(k: int) -> bool:
        return k * (math.log(k / rate) - 1) + rate > (bits + 1) * math.log(2)

    step = 1 + math.isqrt(int(rate)) // 8
    first = next((k for k in range(int(rate), 0, -step) if outside(k)), 0)
    return first, next(k for k in count_from(int(rate) + 1, step) if outside(k))


def check_parameter(name: str, value: Fraction) -> None:
    """Raise PrivacyError unless `value` is a positive Fraction whose samples fit into 64 bits."""
    if not isinstance(value, Fraction) or not 0 < value.numerator <= MAX_PARAMETER >= value.denominator:
        raise PrivacyError(f"{name}={value} must be a positive Fraction of integers up to 2^38")


def _broken() -> PrivacyError:
    return PrivacyError("rng keeps returning the same bytes; use a source that works, such as os.urandom")
