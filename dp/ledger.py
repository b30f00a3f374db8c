"""The record of what one client has released, which refuses what its budget does not cover."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dp.budget import Budget, History, Spending
from dp.errors import PrivacyError
from dp.indices import check_indices
from dp.release import Release

__all__ = ["Ledger", "InMemoryLedger", "check_charge"]


class Ledger(Protocol):
    """One client's. Each charge comes before what it pays for leaves, also if the round then fails.

    A charge that the budget does not cover raises BudgetExceededError and leaves the ledger as it was.
    """

    @property
    def budget(self) -> Budget:
        """What may be spent."""
        ...

    def charge_claim(self, indices: NDArray[np.int64], recalled: NDArray[np.bool_], /) -> None:
        """One claim over `indices`, (n,); `recalled`: where the memo had the permanent answer already, (n,).

        An index that was answered before and is not recalled has lost its answer: that one is charged for ever, and the
        new one from its first claim on. One that was never charged counts from now on, recalled or not.
        """
        ...

    def charge_release(self, release: Release, /) -> None:
        """A noisy release that this client takes part in."""
        ...

    def spent(self) -> Spending:
        """What was charged so far."""
        ...


class InMemoryLedger:
    """A ledger that lasts as long as the process: for tests and simulations, never for a deployed client."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self._rounds, self._histories, self._releases = 0, dict[int, History](), Counter[Release]()

    def charge_claim(self, indices: NDArray[np.int64], recalled: NDArray[np.bool_], /) -> None:
        """See `Ledger.charge_claim`."""
        indices, recalled = check_charge(indices, recalled)
        pairs = zip(indices.tolist(), recalled.tolist(), strict=True)
        histories = self._histories | {index: _next(self._histories.get(index), known) for index, known in pairs}
        self.budget.check(self.budget.spending(self._rounds + 1, Counter(histories.values()), self._releases.items()))
        self._rounds, self._histories = self._rounds + 1, histories

    def charge_release(self, release: Release, /) -> None:
        """See `Ledger.charge_release`."""
        releases = self._releases + Counter([release])
        self.budget.check(self.budget.spending(self._rounds, {}, releases.items()))
        self._releases = releases

    def spent(self) -> Spending:
        """See `Ledger.spent`."""
        return self.budget.spending(self._rounds, Counter(self._histories.values()), self._releases.items())


def check_charge(indices: ArrayLike, recalled: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """What a ledger may be told: as many flags as valid indices. Raises PrivacyError."""
    checked, flags = check_indices(indices, "indices"), np.asarray(recalled)
    if flags.dtype != np.bool_ or flags.shape != checked.shape:
        raise PrivacyError("recalled must be a bool for each index")
    return checked, flags


def _next(history: History | None, recalled: bool) -> History:
    lost, sends = history or (0, 0)
    return (lost, sends + 1) if recalled or not history else (lost + 1, 1)
