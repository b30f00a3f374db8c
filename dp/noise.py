"""Noise that the clients of a secure sum add in integer shares: exact samples, exact laws, Rényi curves of the total.

What is in the sum for sure is the noise of the honest survivors: account for `sure_shares`, not for the cohort.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import accumulate
from math import asinh, ceil, exp, expm1, fsum, hypot, inf, log, pi, sqrt
from typing import Protocol

import numpy as np
from gmpy2 import mpfr  # type: ignore[import-untyped]  # ships no annotations
from numpy.typing import NDArray

from dp.errors import PrivacyError
from dp.masses import FLOOR, MAX_REACH, Masses
from dp.renyi import Sensitivity
from dp.rounding import arithmetic
from dp.samplers import check_parameter, discrete_gaussian, discrete_laplace, skellam
from dp.sampling import Rng

__all__ = ["Noise", "Law", "DiscreteLaplace", "DiscreteGaussian", "Skellam", "sure_shares"]

DEPTH = -log(FLOOR)
"""How far down, in nats, a law is held."""
MAX_SHARES = 100_000
ERROR = 2.0**-42
"""Relative error of masses that come from e^-x, x up to DEPTH, and are then scaled to sum to 1."""
SAME = 2.0**-42
"""A sum of discrete Gaussians this near to a single one is taken for it, with the difference in its error."""


class Noise(Protocol):
    """A symmetric, log-concave law on the integers, added independently to every entry of a vector."""

    def sample(self, count: int, rng: Rng = os.urandom) -> NDArray[np.int64]:
        """`count` independent samples, int64, exactly of this law; not in constant time."""
        ...

    def masses(self) -> Masses:
        """The law itself. Raises PrivacyError if it is too wide to be held: the Rényi curve always exists."""
        ...

    def rdp(self, order: float, sensitivity: Sensitivity) -> float:
        """An upper bound of the Rényi divergence of that order > 1, in nats, of a vector with this noise."""
        ...


@dataclass(frozen=True)
class DiscreteLaplace:
    """P[x] proportional to exp(-|x| / scale), scale > 0 (Ghosh, Roughgarden, Sundararajan 2009)."""

    scale: Fraction

    def __post_init__(self) -> None:
        check_parameter("scale", self.scale)

    def sample(self, count: int, rng: Rng = os.urandom) -> NDArray[np.int64]:
        """See `Noise.sample`."""
        return discrete_laplace(self.scale, count, rng)

    def masses(self) -> Masses:
        """See `Noise.masses`."""
        x = np.arange(_checked(DEPTH * float(self.scale)) + 1)
        return _scaled(np.exp(-x / float(self.scale)))

    def rdp(self, order: float, sensitivity: Sensitivity) -> float:
        """See `Noise.rdp`: epsilon = l1 / scale, which also is (epsilon^2 / 2)-zCDP (Bun, Steinke 2016)."""
        epsilon = float(sensitivity.l1 / self.scale)
        return min(epsilon, order * epsilon**2 / 2)


@dataclass(frozen=True)
class DiscreteGaussian:
    """The sum of `shares` samples with P[x] proportional to exp(-x^2 / (2 sigma2)) each, sigma2 > 0.

    One share: Canonne, Kamath, Steinke 2020. More: Kairouz, Liu, Steinke 2021 (arXiv 2102.06387). Their sum is no
    discrete Gaussian, but near one: see `tau`. Below sigma2 = 1/4 nothing is proved of it: its Rényi bound is inf.
    """

    sigma2: Fraction
    shares: int = 1

    def __post_init__(self) -> None:
        check_parameter("sigma2", self.sigma2)
        if not 1 <= self.shares <= MAX_SHARES:
            raise PrivacyError(f"shares={self.shares} must be 1 to {MAX_SHARES}")

    def times(self, shares: int) -> DiscreteGaussian:
        """The sum of `shares` independent copies."""
        return DiscreteGaussian(self.sigma2, self.shares * shares)

    @cached_property
    def tau(self) -> float:
        """10 sum_{k < shares} exp(-2 pi^2 sigma2 k / (k + 1)).

        The mass of the sum at any x is within a factor e^(+-tau / 2) of the discrete Gaussian's of shares sigma2.
        """
        decay = 2 * pi**2 * float(self.sigma2)
        return 10 * fsum(exp(-decay * k / (k + 1)) for k in range(1, self.shares))

    def sample(self, count: int, rng: Rng = os.urandom) -> NDArray[np.int64]:
        """See `Noise.sample`."""
        drawn = discrete_gaussian(self.sigma2, self.shares * count, rng)
        sums: NDArray[np.int64] = drawn.reshape(self.shares, count).sum(axis=0)
        return sums

    def masses(self) -> Masses:
        """See `Noise.masses`."""
        if self.shares == 1 or (self.sigma2 >= 1 and self.tau < SAME):
            return _gaussian(float(self.shares * self.sigma2), expm1(self.tau / 2))
        return _gaussian(float(self.sigma2), 0.0).times(self.shares)

    def rho(self, sensitivity: Sensitivity) -> float:
        """The sum is rho-zCDP: half of min(l2^2 / (n s2) + 2 tau d, (l2 / sqrt(n s2) + tau sqrt d)^2) (Theorem 1)."""
        scale2, tau, d = self._scale2(sensitivity), self._proved_tau(), sensitivity.dimension
        return min(scale2 + 2 * tau * d, (sqrt(scale2) + tau * sqrt(d)) ** 2) / 2

    def rdp(self, order: float, sensitivity: Sensitivity) -> float:
        """See `Noise.rdp`: order rho, or order l2^2 / (2 n s2) + (2 order - 1) / (order - 1) d tau / 2 if that is less.

        The second is the single discrete Gaussian's curve, where each of d masses may be off by e^(tau / 2): by
        order times that in P^order, and by order - 1 times that in Q^(1 - order).
        """
        spread = (2 * order - 1) / (order - 1) * sensitivity.dimension * self._proved_tau() / 2
        return min(order * self.rho(sensitivity), order * self._scale2(sensitivity) / 2 + spread)

    def _scale2(self, sensitivity: Sensitivity) -> float:
        return float(sensitivity.l2_squared / (self.shares * self.sigma2))

    def _proved_tau(self) -> float:
        return inf if self.shares > 1 and self.sigma2 < Fraction(1, 4) else self.tau


@dataclass(frozen=True)
class Skellam:
    """The difference of two Poisson laws of rate variance / 2; sums of Skellam laws are Skellam.

    Agarwal, Kairouz, Liu 2021 (arXiv 2110.04995). `variance` is theirs mu, of the total.
    """

    variance: Fraction

    def __post_init__(self) -> None:
        check_parameter("variance", self.variance)

    def times(self, shares: int) -> Skellam:
        """The sum of `shares` independent copies."""
        return Skellam(self.variance * shares)

    def sample(self, count: int, rng: Rng = os.urandom) -> NDArray[np.int64]:
        """See `Noise.sample`."""
        return skellam(self.variance, count, rng)

    @property
    def reach(self) -> int:
        """Beyond it, on either side, a sample falls with a probability below e^-DEPTH (Chernoff)."""
        return ceil(_skellam_reach(float(self.variance)))

    def masses(self) -> Masses:
        """See `Noise.masses`. P[x] = e^-mu I_|x|(mu), by the continued fraction of I_x / I_(x-1), in MPFR.

        1 / (2 x / mu + the same of x + 1): started as 0 far out, what that misses has died away at the reach.
        """
        mu = float(self.variance)
        reach = _checked(_skellam_reach(mu))
        start = ceil(hypot(reach, 10 * sqrt(mu))) + 64
        with arithmetic("nearest"):
            ratio, ratios = mpfr(0), []
            for x in range(start, 0, -1):
                ratio = 1 / (mpfr(2 * x) * self.variance.denominator / self.variance.numerator + ratio)
                if x <= reach:
                    ratios.append(ratio)
            side = np.array([float(mass) for mass in accumulate(reversed(ratios), lambda a, b: a * b, initial=mpfr(1))])
        return _scaled(side)

    def rdp(self, order: float, sensitivity: Sensitivity) -> float:
        """See `Noise.rdp`: a l2^2 / (2 mu) + min(((2 a - 1) l2^2 + 6 l1) / (4 mu^2), 3 l1 / (2 mu)), Corollary 3.6.

        Proved for integer orders: a is the order rounded up, as divergences grow with it.
        """
        a, mu = ceil(order), float(self.variance)
        l1, l2_squared = float(sensitivity.l1), float(sensitivity.l2_squared)
        rest = min(((2 * a - 1) * l2_squared + 6 * l1) / (4 * mu**2), 3 * l1 / (2 * mu))
        return a * l2_squared / (2 * mu) + rest


Law = DiscreteLaplace | DiscreteGaussian | Skellam


def sure_shares(threshold: int, colluders: int) -> int:
    """t - c + 1: a client answers only if `threshold` others do, so that of t + 1 survivors at most c are corrupt."""
    if not 0 <= colluders <= threshold:
        raise PrivacyError(f"colluders={colluders} must be 0 to the threshold of {threshold}")
    return threshold - colluders + 1


def _gaussian(sigma2: float, error: float) -> Masses:
    x = np.arange(_checked(sqrt(2 * DEPTH * sigma2)) + 1)
    return _scaled(np.exp(-(x * x) / (2 * sigma2)), error)


def _scaled(side: NDArray[np.float64], error: float = 0.0) -> Masses:
    """The law whose masses at 0, 1, ... are in the proportions of `side`, which falls at least geometrically."""
    total = side[0] + 2 * fsum(side[1:].tolist())
    values = np.concatenate((side[:0:-1], side)) / total
    ratio = side[-1] / side[-2]
    beyond = 2 * values[-1] * ratio / (1 - ratio)
    return Masses(values, error=(1 + ERROR) * (1 + error) - 1, cut=float(beyond) * (1 + ERROR) ** 2)


def _skellam_reach(mu: float) -> float:
    """Where ln P[0] / P[x], about x asinh(x / mu) - sqrt(x^2 + mu^2) + mu, reaches DEPTH."""
    low, high = 0.0, 64 + 64 * sqrt(mu)
    for _ in range(60):
        middle = (low + high) / 2
        deep = middle * asinh(middle / mu) - hypot(middle, mu) + mu >= DEPTH
        low, high = (low, middle) if deep else (middle, high)
    return high


def _checked(reach: float) -> int:
    if reach > MAX_REACH:
        raise PrivacyError("this noise is too wide to hold its law; take the bound from its Rényi curve")
    return max(2, ceil(reach))
