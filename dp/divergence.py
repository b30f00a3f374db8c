"""Two exact distributions over the same outcomes: hockey-stick divergence, its inverse, and the best guess."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from itertools import accumulate
from math import isfinite

from gmpy2 import mpq  # type: ignore[import-untyped]  # ships no annotations

from dp.bounds import Bound
from dp.errors import PrivacyError
from dp.rounding import exp, log, to_float

__all__ = ["Pair", "check_delta"]


@dataclass(frozen=True)
class Pair:
    """P[outcome k | held] and P[outcome k | not held], as integer weights over one common total."""

    held: tuple[int, ...] = field(repr=False)
    absent: tuple[int, ...] = field(repr=False)

    @property
    def total(self) -> int:
        """What each side's weights sum to."""
        return sum(self.held)

    def delta(self, epsilon: float) -> Bound:
        """The smallest delta at `epsilon` (finite, >= 0): sum_k max(0, P1(k) - e^epsilon P0(k)), the worse way.

        e^epsilon is rounded down at 192 bits and the result up: never below the true value. Raises PrivacyError.
        """
        if not (isfinite(epsilon) and epsilon >= 0):
            raise PrivacyError(f"epsilon={epsilon} must be finite and not negative")
        factor = exp(epsilon, "down")
        excess = max(_excess(self.held, self.absent, factor), _excess(self.absent, self.held, factor))
        return Bound(to_float(Fraction(excess, self.total * factor.denominator), "up"), "exact", "hockey-stick")

    def epsilon(self, delta: Fraction) -> Bound:
        """The smallest epsilon at `delta`, 0 <= delta < 1, in nats: the inverse of `delta`, in closed form.

        max over sets T of outcomes of ln (P1(T) - delta) / P0(T), and the other way; the best T of each size holds the
        outcomes of the largest likelihood ratios. inf if the outcomes that give the index away outweigh delta.
        """
        spared = check_delta(delta) * self.total
        value = max(_epsilon(self.held, self.absent, spared), _epsilon(self.absent, self.held, spared))
        return Bound(value, "exact", "hockey-stick")

    def guess_rate(self, prior: Fraction = Fraction(1, 2)) -> Fraction:
        """P[the best guess from the outcome is right] if the index is held with probability `prior`."""
        _check_prior(prior)
        chances = (max(prior * p1, (1 - prior) * p0) for p1, p0 in zip(self.held, self.absent, strict=True))
        return sum(chances, Fraction(0)) / self.total

    def posterior(self, outcome: int, prior: Fraction) -> Fraction:
        """P[held | outcome] by Bayes' rule. Raises PrivacyError if there is no such outcome."""
        _check_prior(prior)
        if not 0 <= outcome < len(self.held):
            raise PrivacyError(f"outcome={outcome} must be 0 to {len(self.held) - 1}")
        held, absent = prior * self.held[outcome], (1 - prior) * self.absent[outcome]
        if held + absent == 0:
            raise PrivacyError(f"outcome={outcome} cannot happen")
        return held / (held + absent)


def check_delta(delta: Fraction) -> Fraction:
    """`delta` if it is an exact number, 0 <= delta < 1. Raises PrivacyError."""
    if not isinstance(delta, Fraction) or not 0 <= delta < 1:
        raise PrivacyError(f"delta={delta!r} must be a Fraction, at least 0 and below 1, such as Fraction(1, 10**6)")
    return delta


def _check_prior(prior: Fraction) -> None:
    if not 0 <= prior <= 1:
        raise PrivacyError(f"prior={prior} must be a probability, 0 to 1")


def _excess(likely: tuple[int, ...], unlikely: tuple[int, ...], factor: Fraction) -> int:
    up, down = factor.denominator, factor.numerator
    return sum(max(0, a * up - b * down) for a, b in zip(likely, unlikely, strict=True))


def _epsilon(likely: tuple[int, ...], unlikely: tuple[int, ...], spared: Fraction) -> float:
    ranked = sorted(zip(likely, unlikely, strict=True), key=_rank, reverse=True)
    sets = zip(*(accumulate(side) for side in zip(*ranked, strict=True)), strict=True)
    best = max(((mass - spared, other) for mass, other in sets if mass > spared), key=_rank)
    return max(0.0, log(*best, "up"))


def _rank(weights: tuple[Fraction | int, Fraction | int]) -> tuple[bool, mpq]:
    """Order of likelihood ratios; an outcome that is impossible on the other side comes first."""
    likely, unlikely = weights
    return (True, mpq(likely)) if unlikely == 0 else (False, mpq(likely) / mpq(unlikely))
