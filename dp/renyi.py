"""Rényi divergence of noisy vectors, its sum over rounds, and what it means in (epsilon, delta)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import log, log1p

from dp.bounds import Bound
from dp.divergence import check_delta
from dp.errors import PrivacyError

__all__ = ["ORDERS", "Curve", "Sensitivity", "renyi_epsilon", "zcdp_epsilon"]

Curve = Callable[[float], float]
"""Order a > 1 to the Rényi divergence of that order, in nats."""

ORDERS = (1.1, 1.25, 1.5, 1.75, *range(2, 129), *(2**k for k in range(8, 31)))
"""Where a curve is looked at: any order gives a bound, and more of them hardly a better one."""
SLACK = 2.0**-40
"""More than the floats of a conversion can be wrong by, relative and absolute."""


@dataclass(frozen=True)
class Sensitivity:
    """By how much one client can move the released vector of `dimension` integers. Raises PrivacyError.

    `l1` and `l2_squared` bound the sum of the absolute differences and of their squares.
    """

    l1: Fraction
    l2_squared: Fraction
    dimension: int = 1

    def __post_init__(self) -> None:
        if not (self.l1 >= 0 and self.l2_squared >= 0 and self.dimension >= 1):
            raise PrivacyError(f"sensitivity {self}: l1 and l2_squared must be 0 or more, the dimension 1 or more")

    @classmethod
    def scalar(cls, shift: int) -> Sensitivity:
        """Of one integer that moves by at most `shift`."""
        return cls(Fraction(shift), Fraction(shift) ** 2)


def renyi_epsilon(curve: Curve, delta: Fraction, rounds: int = 1, orders: Sequence[float] = ORDERS) -> Bound:
    """An upper bound of epsilon, in nats, after `rounds` releases with that curve, 0 < delta < 1.

    min over orders a of rounds curve(a) + ln(1 - 1/a) - ln(delta a) / (a - 1): Canonne, Kamath, Steinke 2020,
    Proposition 12 (also Asoodeh et al. 2020), the best that holds for every curve in closed form.
    """
    if check_delta(delta) == 0:
        raise PrivacyError("delta must be above 0 where noise is Rényi-private")
    if rounds < 1:
        raise PrivacyError(f"rounds={rounds} must be 1 or more")
    chance = log(delta.numerator) - log(delta.denominator)
    best = min(rounds * curve(a) + log1p(-1 / a) - (chance + log(a)) / (a - 1) for a in orders)
    return Bound(max(0.0, best * (1 + SLACK) + SLACK), "upper", "noise-renyi")


def zcdp_epsilon(rho: float, delta: Fraction, rounds: int = 1, orders: Sequence[float] = ORDERS) -> Bound:
    """The same for rho-zCDP (Bun, Steinke 2016): the curve is a rho."""
    return renyi_epsilon(lambda order: order * rho, delta, rounds, orders)
