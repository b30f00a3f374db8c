"""What one client may spend, and what claims and noisy releases add up to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import inf

from dp.bounds import Bound
from dp.divergence import check_delta
from dp.errors import BudgetExceededError, PrivacyError
from dp.release import Release
from dp.renyi import renyi_epsilon
from dp.response import MAX_ROUNDS, TwoStage

__all__ = ["Budget", "History", "Spending", "Tally"]

History = tuple[int, int]
"""Of one index: (permanent answers that were lost, claims sent under the present one)."""

Tally = Mapping[History, int]
"""How many indices have each history."""


@dataclass(frozen=True)
class Spending:
    """What was spent, in nats. The kinds of the bounds say how sharp each is."""

    rounds: int
    """Claims sent."""
    lost: int
    """Permanent answers that had to be given again."""
    index: Bound
    """Claims: the dearest single index."""
    members: Bound
    """Claims: the dearest `Budget.set_size` indices together."""
    central: Bound
    """All noisy releases together, at the budget's delta. Claims and releases add up: both tell of the index set."""


@dataclass(frozen=True)
class Budget:
    """The mechanism of the claims, and the most that may be spent, in nats; inf records without refusing.

    `index`: on any one index by claims. `members`: on any `set_size` indices together, by claims.
    `central`: on all noisy releases together, at `delta`. Raises PrivacyError.
    """

    response: TwoStage
    index: float = inf
    set_size: int = 1
    members: float = inf
    central: float = inf
    delta: Fraction = Fraction(1, 10**6)

    def __post_init__(self) -> None:
        if not all(limit >= 0 for limit in (self.index, self.members, self.central)):
            raise PrivacyError("index, members and central must be 0 nats or more")
        if self.set_size < 1 or check_delta(self.delta) == 0:
            raise PrivacyError("set_size must be 1 or more, and delta above 0")

    def __str__(self) -> str:
        """Canonical text: equal budgets have equal texts, and only they."""
        limits = (float(limit).hex() for limit in (self.index, self.members, self.central))
        return " ".join((str(self.response), *limits, str(self.set_size), str(self.delta)))

    def spending(self, rounds: int, tally: Tally, releases: Iterable[tuple[Release, int]]) -> Spending:
        """What `rounds` claims that left this tally, and the releases with how often each was made, add up to.

        An index costs eps_r of the r claims under its permanent answer, and eps_inf for each answer that was lost: that
        memo may yet come back, from a backup, and answer again. An index may be held or not; its dearer way counts.
        """
        made = list(releases)
        curve = renyi_epsilon(lambda a: sum(n * one.rdp(a) for one, n in made), self.delta) if made else 0.0
        lost = sum(answers * number for (answers, _), number in tally.items())
        return Spending(
            rounds,
            lost,
            Bound(self._dearest(tally, 1), "upper" if lost else "exact", "ledger-index"),
            Bound(self._dearest(tally, self.set_size), "upper" if lost else "exact", "ledger-set"),
            Bound(curve, "upper", "noise-renyi"),
        )

    def check(self, spending: Spending) -> None:
        """Raise BudgetExceededError if that is more than this budget allows."""
        for name in ("index", "members", "central"):
            spent, allowed = getattr(spending, name), getattr(self, name)
            if spent > allowed:
                raise BudgetExceededError(
                    f"{name}: this would spend {spent.text(3)} of {allowed} nats; stay out of the round, or begin a "
                    "ledger with a larger budget"
                )

    def _dearest(self, tally: Tally, size: int) -> float:
        """The sum of the `size` largest costs."""
        total = 0.0
        for cost, number in sorted(((_cost(self.response, h), n) for h, n in tally.items()), reverse=True):
            taken = min(size, number)
            total, size = total + taken * cost, size - taken
            if not size:
                break
        return total


@lru_cache(maxsize=1 << 14)
def _cost(response: TwoStage, history: History) -> float:
    """The loss of one index with that history, in the dearer way: losses of independent answers add up, each way."""
    lost, sends = history
    ever = response.loss_ever()
    now = response.loss_rounds(sends) if sends <= MAX_ROUNDS else ever
    ways = ((ever.e10, now.e10), (ever.e01, now.e01))
    return max((lost * past if lost else 0.0) + present for past, present in ways)
