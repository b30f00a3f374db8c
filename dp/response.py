"""Two-stage randomized response and its exact privacy accounting.

A permanent answer per index (true with p1 if held, p2 if not), then a fresh claim each round (p3 if the permanent
answer is true, p4 if not): Niu et al. 2020 (arXiv 1911.02254), after RAPPOR (Erlingsson et al. 2014). All bounds
concern what *claims* reveal about one index, given that it is in the union; rounds count claims sent, finished or not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from fractions import Fraction
from math import lcm
from numbers import Integral

from dp.binomial import weights
from dp.bounds import Bound
from dp.divergence import Pair
from dp.errors import PrivacyError
from dp.loss import Loss, worst_case
from dp.sampling import common_denominator

__all__ = ["PRESETS", "MAX_ROUNDS", "TwoStage"]

PRESETS = {
    "15/16": "15/16,1/16,15/16,1/16",
    "7/8": "7/8,1/8,7/8,1/8",
    "3/4": "3/4,1/4,3/4,1/4",
    "none": "1,0,1,0",
    "union": "1,1,1,1",
}
"""The choices of the paper: three mixtures, the truth (no privacy), and a claim of all the union (tells nothing)."""

MAX_ROUNDS = 10_000
"""Exact integers grow with the rounds; beyond this many, `epsilon_ever` says nearly the same."""

NUMBER = re.compile(r"[0-9]{1,18}/[0-9]{1,18}|[0-9]{0,2}\.[0-9]{1,18}|[01]", re.ASCII)


@dataclass(frozen=True)
class TwoStage:
    """Probabilities p1..p4 as exact fractions in [0, 1]. Raises PrivacyError."""

    p1: Fraction
    """P[permanent answer is true | held]."""
    p2: Fraction
    """P[permanent answer is true | not held]."""
    p3: Fraction
    """P[claim | permanent answer is true]."""
    p4: Fraction
    """P[claim | permanent answer is false]."""

    def __post_init__(self) -> None:
        for field in fields(self):
            p = getattr(self, field.name)
            if not isinstance(p, Fraction):
                raise PrivacyError(f"{field.name} must be a Fraction: a float is not the probability you wrote")
            if not 0 <= p <= 1:
                raise PrivacyError(f"{field.name}={p} must be a probability, 0 to 1")

    @classmethod
    def parse(cls, text: str) -> TwoStage:
        """A preset of PRESETS or "p1,p2,p3,p4", decimals or fractions, read exactly. Raises PrivacyError."""
        parts = [part.strip() for part in PRESETS.get(text.strip(), text).split(",", 4)]
        if len(parts) != 4 or not all(NUMBER.fullmatch(part) for part in parts):
            raise PrivacyError(
                f"it takes one of {', '.join(PRESETS)}, or four probabilities p1,p2,p3,p4 such as 0.9,1/5,0.8,0.1"
            )
        if any(int(part.partition("/")[2] or 1) == 0 for part in parts):
            raise PrivacyError("a fraction's denominator must not be 0")
        response = cls(*map(Fraction, parts))
        common_denominator(response.p1, response.p2)
        common_denominator(response.p3, response.p4)
        return response

    def __str__(self) -> str:
        """Canonical text: `parse` reads it back to an equal response."""
        return f"{self.p1},{self.p2},{self.p3},{self.p4}"

    @property
    def q1(self) -> Fraction:
        """P[claim | held]."""
        return _mixture(self.p1, self.p3, self.p4, 1)

    @property
    def q0(self) -> Fraction:
        """P[claim | not held]."""
        return _mixture(self.p2, self.p3, self.p4, 1)

    def fresh(self) -> TwoStage:
        """The same claims without a memo: each round draws both stages anew, so that losses add up for ever."""
        return TwoStage(Fraction(1), Fraction(0), self.q1, self.q0)

    def loss_rounds(self, rounds: int) -> Loss:
        """Exact loss of `rounds` memoised claims of one index, 1 <= rounds <= MAX_ROUNDS.

        The likelihood ratio is monotone in the number of claims, whatever p1..p4: its extremes are all and none. It
        may exceed `rounds` times the loss of one claim: claims that share a permanent answer are not independent.
        """
        _check_rounds(rounds)
        missed3, missed4 = 1 - self.p3, 1 - self.p4
        return worst_case(
            "rr-rounds",
            {
                f"claimed in {rounds} of {rounds} rounds": (
                    _mixture(self.p1, self.p3, self.p4, rounds),
                    _mixture(self.p2, self.p3, self.p4, rounds),
                ),
                f"claimed in 0 of {rounds} rounds": (
                    _mixture(self.p1, missed3, missed4, rounds),
                    _mixture(self.p2, missed3, missed4, rounds),
                ),
            },
        )

    def loss_ever(self) -> Loss:
        """Exact loss in the limit of many memoised claims: the permanent answer itself, if claims depend on it."""
        if self.p3 == self.p4:
            return self.loss_rounds(1)
        return worst_case(
            "rr-ever",
            {
                "permanent answer true": (self.p1, self.p2),
                "permanent answer false": (1 - self.p1, 1 - self.p2),
            },
        )

    def epsilon_round(self) -> Bound:
        """Epsilon of one claim of one index, in nats; inf if some outcome gives the index away."""
        return self.loss_rounds(1).epsilon

    def epsilon_rounds(self, rounds: int, delta: Fraction = Fraction(0)) -> Bound:
        """Epsilon of `rounds` memoised claims of one index, in nats, up to `delta`, 0 <= delta < 1."""
        return self.pair(rounds).epsilon(delta) if delta else self.loss_rounds(rounds).epsilon

    def epsilon_ever(self) -> Bound:
        """Epsilon of any number of memoised claims of one index, in nats."""
        return self.loss_ever().epsilon

    def epsilon_truths(self, changes: int) -> Bound:
        """Epsilon of any number of claims if the memo were keyed by the truth, which changes `changes` times, in nats.

        An upper bound: each truth in turn gets a permanent answer. `privatize` keys its memo by the index alone.
        """
        if changes < 0:
            raise PrivacyError(f"changes={changes} must be 0 or more")
        return Bound((changes + 1) * self.epsilon_ever(), "upper", "rr-truth")

    def delta_rounds(self, rounds: int, epsilon: float) -> Bound:
        """Exact delta(epsilon) of `rounds` memoised claims of one index, the worse way, rounded up.

        Needs finite epsilon >= 0; raises PrivacyError.
        """
        return self.pair(rounds).delta(epsilon)

    def pair(self, rounds: int) -> Pair:
        """The exact laws of the number of claims in `rounds` memoised rounds: mixtures of two binomials.

        The number says all that the order of claims could: `pair` has the hockey stick and the attacker's guesses.
        """
        _check_rounds(rounds)
        d = lcm(*(getattr(self, field.name).denominator for field in fields(self)))
        yes, no = (weights(rounds, int(p * d), d - int(p * d)) for p in (self.p3, self.p4))
        held, absent = (
            tuple(int(p * d) * a + (d - int(p * d)) * b for a, b in zip(yes, no, strict=True))
            for p in (self.p1, self.p2)
        )
        return Pair(held, absent)


def _mixture(p: Fraction, yes: Fraction, no: Fraction, rounds: int) -> Fraction:
    """P[the same outcome `rounds` times], when each has probability `yes` after a true permanent answer, else `no`."""
    return p * yes**rounds + (1 - p) * no**rounds


def _check_rounds(rounds: int) -> None:
    if not (isinstance(rounds, Integral) and 1 <= rounds <= MAX_ROUNDS):
        raise PrivacyError(f"rounds={rounds} must be a whole number from 1 to {MAX_ROUNDS}; for more use epsilon_ever")
