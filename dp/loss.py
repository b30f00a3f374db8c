"""Privacy loss with its proof: the outcome that is most telling, and its exact probability under both hypotheses."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import inf

from dp.bounds import Bound
from dp.errors import PrivacyError
from dp.rounding import log, to_float

__all__ = ["Witness", "Loss", "worst_case"]


@dataclass(frozen=True)
class Witness:
    """An outcome with exact probability `likely` > 0 under one hypothesis and `unlikely` under the other."""

    event: str
    likely: Fraction
    unlikely: Fraction

    @property
    def loss(self) -> float:
        """ln(likely / unlikely) in nats, rounded up; inf when the outcome is impossible under the other hypothesis."""
        return log(self.likely, self.unlikely, "up")


@dataclass(frozen=True)
class Loss:
    """What one index can lose at most: D_inf between the outcomes when it is held and when it is not, both ways."""

    held: Witness
    """The outcome that speaks most for "held"; its loss is e10."""
    absent: Witness
    """The outcome that speaks most for "not held"; its loss is e01."""
    formula: str
    """Id of what was computed, in `dp.FORMULAS`."""

    @property
    def e10(self) -> float:
        """max ln P[outcome | held] / P[outcome | not held]."""
        return self.held.loss

    @property
    def e01(self) -> float:
        """max ln P[outcome | not held] / P[outcome | held]."""
        return self.absent.loss

    @property
    def epsilon(self) -> Bound:
        """The larger of both directions, in nats."""
        return Bound(max(self.e10, self.e01), "exact", self.formula)

    @property
    def witness(self) -> Witness:
        """The outcome that attains `epsilon`."""
        return max(self.held, self.absent, key=lambda witness: witness.loss)

    def set_level(self, removed: int, added: int) -> Bound:
        """Exact loss, in nats, between two held sets when `removed` indices leave and `added` enter.

        max(removed e10 + added e01, added e10 + removed e01): indices are answered independently.
        Raises PrivacyError for negative numbers.
        """
        if min(removed, added) < 0:
            raise PrivacyError(f"removed={removed} and added={added} must be 0 or more")
        one_way = _sum((removed, self.e10), (added, self.e01))
        other_way = _sum((added, self.e10), (removed, self.e01))
        return Bound(max(one_way, other_way), "exact", "rr-set")


def worst_case(formula: str, events: dict[str, tuple[Fraction, Fraction]]) -> Loss:
    """The loss over named outcomes, each with its probability when held and when not; impossible ones do not count."""
    possible = [(name, *pair) for name, pair in events.items() if any(pair)]
    held = [Witness(name, p1, p0) for name, p1, p0 in possible if p1]
    absent = [Witness(name, p0, p1) for name, p1, p0 in possible if p0]
    return Loss(max(held, key=lambda w: w.loss), max(absent, key=lambda w: w.loss), formula)


def _sum(*terms: tuple[int, float]) -> float:
    """The sum of counts times losses, rounded up; 0 * inf is 0."""
    counted = [(count, loss) for count, loss in terms if count]
    if any(loss == inf for _, loss in counted):
        return inf
    return to_float(sum((count * Fraction(loss) for count, loss in counted), Fraction(0)), "up")
