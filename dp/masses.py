"""Noise on one integer with every error bounded: its tails, and what a shift of it reveals."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from dp.bounds import Bound
from dp.divergence import check_delta
from dp.errors import PrivacyError
from dp.rounding import exp, to_float

__all__ = ["FLOOR", "MAX_REACH", "Masses"]

Vector = NDArray[np.float64]

FLOOR = 2.0**-700
"""Laws are held until their masses fall below this share of the largest: 31 deviations of a Gaussian."""
MAX_REACH = 2**22
"""The widest law that is held."""
UNIT = 2.0**-53
TIGHT = 1e-9
"""An upper bound so close to a lower one is called exact."""
MIN_DELTA = Fraction(1, 10**150)


@dataclass(frozen=True)
class Masses:
    """P[X = x] for x = -reach..reach of a law that is symmetric and log-concave on the integers.

    The mass of any set lies between (1 - error) times the values in it, and (1 + error) times them plus `cut`.
    """

    values: Vector = field(repr=False)
    """float64, (2 reach + 1,)."""
    error: float
    cut: float

    @property
    def reach(self) -> int:
        """The largest x that is held."""
        return len(self.values) // 2

    @property
    def variance(self) -> float:
        """E[X^2], to a relative `error`."""
        x = np.arange(-self.reach, self.reach + 1, dtype=np.float64)
        return float(np.dot(x * x, self.values))

    def add(self, other: Masses) -> Masses:
        """The law of the sum of two independent ones. Sums of products of positive numbers lose hardly any digits."""
        values = np.convolve(self.values, other.values)
        kept = values >= FLOOR**1.25
        rounding = 2 * min(len(self.values), len(other.values)) * UNIT
        return Masses(
            values[kept],
            error=(1 + self.error) * (1 + other.error) * (1 + rounding) - 1,
            cut=self.cut + other.cut + 2 * FLOOR**1.25 * float(np.count_nonzero(~kept)),
        )

    def times(self, shares: int) -> Masses:
        """The law of a sum of `shares` >= 1 independent copies."""
        if shares == 1:
            return self
        half = self.times(shares // 2)
        return half.add(half).add(self) if shares % 2 else half.add(half)

    def delta(self, shift: int, epsilon: float) -> Bound:
        """The smallest delta, at a finite `epsilon` >= 0, between X and X + `shift`, rounded up.

        The hockey-stick divergence. The likelihood ratio of a shifted log-concave law is monotone, so that a tail is
        the most telling event: max over k of P[X >= k] - e^epsilon P[X >= k + shift]. Raises PrivacyError.
        """
        if not (isfinite(epsilon) and epsilon >= 0):
            raise PrivacyError(f"epsilon={epsilon} must be finite and not negative")
        low, high = self._tails()
        factor = to_float(exp(epsilon, "down"), "down")
        excess = float(np.max(high - _shifted(low, shift, 0.0) * factor * (1 - UNIT)))
        return Bound(min(1.0, max(0.0, excess) + 2 * UNIT * excess), "upper", "noise-scalar")

    def epsilon(self, shift: int, delta: Fraction) -> Bound:
        """The smallest epsilon, in nats, at which X and X + `shift` are (epsilon, delta) apart; 10^-150 <= delta < 1.

        max over k of ln (P[X >= k] - delta) / P[X >= k + shift], rounded up; "exact" where the other rounding agrees.
        inf where the shifted tail leaves the doubles (epsilon above some 300). Raises PrivacyError.
        """
        if check_delta(delta) < MIN_DELTA:
            raise PrivacyError("delta must be at least 10^-150")
        low, high = self._tails()
        above = _largest_log(high - to_float(delta, "down"), _shifted(low, shift, 0.0))
        below = _largest_log(low - to_float(delta, "up"), _shifted(high, shift, self.cut))
        return Bound(above, "exact" if above <= below * (1 + TIGHT) else "upper", "noise-scalar")

    def _tails(self) -> tuple[Vector, Vector]:
        """Lower and upper bounds of P[X >= k], k = -reach..reach."""
        tails = np.cumsum(self.values[::-1])[::-1]
        slack = self.error + 2 * len(tails) * UNIT
        return tails * (1 - slack), np.minimum(tails * (1 + slack) + self.cut, 1.0)


def _shifted(tails: Vector, shift: int, beyond: float) -> Vector:
    if shift < 0:
        raise PrivacyError(f"shift={shift} must be 0 or more")
    return np.concatenate((tails[shift:], np.full(min(shift, len(tails)), beyond)))


def _largest_log(likely: Vector, unlikely: Vector) -> float:
    counts = likely > 0
    with np.errstate(divide="ignore", over="ignore"):  # x / 0 is infinite, as it should be
        ratio = float(np.max(likely[counts] / unlikely[counts], initial=1.0))
    return max(0.0, float(np.log(ratio)) + 8 * UNIT) if ratio > 1 else 0.0
