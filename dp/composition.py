"""Privacy loss distributions and their composition, by dp-accounting (Google), loaded when first used.

Losses are rounded up to multiples of an interval (Koskela et al. 2020; Meiser, Mohammadi 2018), so that epsilon is an
upper bound. Its Fourier transforms in doubles carry no delta below MIN_DELTA.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from math import exp, inf
from typing import Any

import numpy as np

from dp.bounds import Bound
from dp.divergence import Pair, check_delta
from dp.errors import PrivacyError
from dp.masses import Masses
from dp.rounding import log

__all__ = ["MIN_DELTA", "PrivacyLoss", "claims_loss", "noise_loss"]

MIN_DELTA = Fraction(1, 10**12)
INTERVAL = 1e-4
"""Default multiple that losses are rounded up to: the most that one release can be overrated by, in nats."""
RARE = -90.0
"""ln of the masses that are counted as giving everything away, to keep the distributions short."""


@dataclass(frozen=True)
class PrivacyLoss:
    """The loss distributions, in both directions, of something released."""

    distributions: Any = field(repr=False)
    """`dp_accounting.pld.privacy_loss_distribution.PrivacyLossDistribution`"""
    cut: float = 0.0
    """Mass that they leave out, at most."""
    slack: float = 0.0
    """What losses and ln of masses may be underrated by, at most."""

    def times(self, rounds: int) -> PrivacyLoss:
        """`rounds` >= 1 independent releases."""
        if rounds < 1:
            raise PrivacyError(f"rounds={rounds} must be 1 or more")
        composed = self.distributions if rounds == 1 else self.distributions.self_compose(rounds)
        return PrivacyLoss(composed, rounds * self.cut, rounds * self.slack)

    def then(self, other: PrivacyLoss) -> PrivacyLoss:
        """This release and an independent other one, discretized alike."""
        composed = self.distributions.compose(other.distributions)
        return PrivacyLoss(composed, self.cut + other.cut, self.slack + other.slack)

    def epsilon(self, delta: Fraction) -> Bound:
        """An upper bound of epsilon, in nats, MIN_DELTA <= delta < 1."""
        if check_delta(delta) < MIN_DELTA:
            raise PrivacyError(f"delta={delta} must be at least {float(MIN_DELTA)} where distributions are composed")
        spared = (float(delta) - self.cut) * exp(-self.slack)
        value = self.distributions.get_epsilon_for_delta(spared) if spared > 0 else inf
        return Bound(float(value) + self.slack, "upper", "noise-pld")


def noise_loss(law: Masses, shift: int, interval: float = INTERVAL) -> PrivacyLoss:
    """Of one integer released with that noise, which one client can move by `shift` >= 1 either way."""
    if shift < 1:
        raise PrivacyError(f"shift={shift} must be 1 or more")
    near = dict(enumerate(np.log(law.values).tolist()))
    moved = {x + shift: mass for x, mass in near.items()}
    return PrivacyLoss(_from_two(moved, near, interval, symmetric=True), law.cut, 4 * law.error)


def claims_loss(pair: Pair, removed: int, added: int, interval: float = INTERVAL) -> PrivacyLoss:
    """Of the claims of a set when `removed` indices leave and `added` enter; `pair` has the laws of one index."""
    parts = [
        _one_claim(Pair(*sides), interval).times(number)
        for number, sides in ((removed, (pair.held, pair.absent)), (added, (pair.absent, pair.held)))
        if number
    ]
    if not parts:
        raise PrivacyError("removed and added must not both be 0")
    return parts[0].then(parts[1]) if len(parts) == 2 else parts[0]


def _one_claim(pair: Pair, interval: float) -> PrivacyLoss:
    upper, lower = ({k: log(w, pair.total) for k, w in enumerate(side) if w} for side in (pair.held, pair.absent))
    return PrivacyLoss(_from_two(upper, lower, interval, symmetric=False), slack=1e-12)


def _from_two(upper: dict[int, float], lower: dict[int, float], interval: float, *, symmetric: bool) -> Any:
    try:
        from dp_accounting.pld import privacy_loss_distribution
    except ImportError:
        raise PrivacyError("composition needs dp-accounting; install the extra: pip install '.[accounting]'") from None
    return privacy_loss_distribution.from_two_probability_mass_functions(
        lower, upper, value_discretization_interval=interval, log_mass_truncation_bound=RARE, symmetric=symmetric
    )
