"""What a noisy sum reveals: vectors of integers released with noise, and their epsilon by each method."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from fractions import Fraction

from dp.bounds import Bound
from dp.composition import noise_loss
from dp.errors import PrivacyError
from dp.noise import DiscreteGaussian, DiscreteLaplace, Law, Skellam
from dp.renyi import Sensitivity, renyi_epsilon

__all__ = ["Release"]

LAWS = {"discrete-laplace": DiscreteLaplace, "discrete-gaussian": DiscreteGaussian, "skellam": Skellam}


@dataclass(frozen=True)
class Release:
    """`rounds` releases of a vector with this total noise, each of which one client can move by `sensitivity`.

    Neighbours: the same cohort, one client's contribution replaced within that sensitivity. Raises PrivacyError.
    """

    noise: Law
    sensitivity: Sensitivity
    rounds: int = 1

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise PrivacyError(f"rounds={self.rounds} must be 1 or more")

    def rdp(self, order: float) -> float:
        """The Rényi curve of all rounds, in nats."""
        return self.rounds * self.noise.rdp(order, self.sensitivity)

    def renyi(self, delta: Fraction) -> Bound:
        """Epsilon by the published Rényi bound: any dimension, any width."""
        return renyi_epsilon(self.rdp, delta)

    def exact(self, delta: Fraction) -> Bound:
        """Epsilon of one release of one integer, exactly. Raises PrivacyError for more."""
        if self.rounds != 1:
            raise PrivacyError(f"rounds={self.rounds}: the exact curve is that of one release; use `composed`")
        return self.noise.masses().epsilon(self._shift(), delta)

    def composed(self, delta: Fraction) -> Bound:
        """Epsilon of any number of releases of one integer, by dp-accounting (extra `accounting`)."""
        return noise_loss(self.noise.masses(), self._shift()).times(self.rounds).epsilon(delta)

    def _shift(self) -> int:
        if self.sensitivity.dimension != 1 or self.sensitivity.l1.denominator != 1:
            raise PrivacyError("the exact curve is that of one integer moved by an integer; take the Rényi bound")
        return int(self.sensitivity.l1)

    def __str__(self) -> str:
        """Canonical text of one line: `parse` reads it back."""
        name = next(name for name, law in LAWS.items() if isinstance(self.noise, law))
        return " ".join(
            map(str, (name, *astuple(self.noise), "moved", *astuple(self.sensitivity), "rounds", self.rounds))
        )

    @classmethod
    def parse(cls, text: str) -> Release:
        """What `str` wrote. Raises PrivacyError."""
        try:
            name, parameter, *shares, _, l1, l2_squared, dimension, _, rounds = text.split(" ")
            noise = LAWS[name](Fraction(parameter), *map(int, shares))
            return cls(noise, Sensitivity(Fraction(l1), Fraction(l2_squared), int(dimension)), int(rounds))
        except (KeyError, TypeError, ValueError, ZeroDivisionError):
            raise PrivacyError("this text is no release") from None
