"""Numbers that say on which side of the truth they lie, and by which formula."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal
from math import isfinite
from typing import Any, Literal, Self, get_args

from dp.errors import PrivacyError

__all__ = ["Kind", "Bound", "FORMULAS"]

Kind = Literal["exact", "upper", "lower"]
"""exact: not below the true value, and above it by one part in 10^9 at most. upper: not below it. lower: not above."""

FORMULAS = {
    "rr-rounds": "max ln P[outcome | held] / P[outcome | not held], both ways, in r memoised claims: all or none made",
    "rr-ever": "max ln of p1/p2, (1-p1)/(1-p2) and their inverses: the permanent answer itself",
    "rr-truth": "(changes + 1) eps_inf: a permanent answer for each truth in turn",
    "rr-set": "max(b e10 + a e01, a e10 + b e01), b indices removed and a added",
    "hockey-stick": "max over directions of sum_k max(0, P1(k) - e^eps P0(k)), and its inverse",
    "clopper-pearson": "ln (lower bound of P[claim | held] - delta) / (upper bound of P[claim | not held])",
    "ledger-index": "eps_inf for each lost answer, plus eps_r of the r claims under the present one: the dearest index",
    "ledger-set": "the same, summed over the dearest indices of a set",
    "noise-scalar": "max over tails T of ln (P(T) - delta) / P(T - D), of log-concave noise on one integer",
    "noise-renyi": "min over orders a of rounds RDP(a) + ln(1 - 1/a) - ln(delta a) / (a - 1)",
    "noise-pld": "composition of discretized privacy losses, rounded up",
}
"""What each formula id stands for."""

ROUNDING = {"exact": ROUND_HALF_EVEN, "upper": ROUND_CEILING, "lower": ROUND_FLOOR}


class Bound(float):
    """A float with its `kind` and the id of its `formula`. What is computed from it is a plain float again."""

    __slots__ = ("formula", "kind")
    kind: Kind
    formula: str

    def __new__(cls, value: float, kind: Kind, formula: str) -> Self:
        """Raises PrivacyError for an unknown kind or formula."""
        if kind not in get_args(Kind) or formula not in FORMULAS:
            raise PrivacyError(f"no bound is {kind!r} by {formula!r}")
        bound = super().__new__(cls, value)
        bound.kind, bound.formula = kind, formula
        return bound

    def __getnewargs__(self) -> Any:
        return float(self), self.kind, self.formula

    def text(self, digits: int = 6) -> str:
        """Decimal text with `digits` places, rounded to the safe side: up if an upper bound, down if a lower one."""
        if not isfinite(self):
            return str(float(self))
        place = Decimal(1).scaleb(-digits)
        return str(Decimal(float(self)).quantize(place, ROUNDING[self.kind], Context(prec=400)))
