"""Memory of permanent answers: a client answers once per index, for ever. Losing it spends the budget again."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dp.errors import MemoError
from dp.indices import check_indices

__all__ = ["Memo", "InMemoryMemo", "check_answers"]


class Memo(Protocol):
    """Where one client keeps its permanent answers. Index arrays are int64, (n,), sorted and free of repeats."""

    def recall(self, indices: NDArray[np.int64], /) -> NDArray[np.int8]:
        """The answer to each index, (n,): 0, 1, or -1 where there is none yet."""
        ...

    def remember(self, indices: NDArray[np.int64], answers: NDArray[np.int8], /) -> None:
        """Keep answers (0 or 1, (n,)), all or none, durably before returning.

        Raises MemoError if an index already has the other answer.
        """
        ...


class InMemoryMemo:
    """A memo that lasts as long as the process: for tests and simulations, never for a deployed client."""

    def __init__(self) -> None:
        self._indices, self._answers = np.zeros(0, np.int64), np.zeros(0, np.int8)

    def recall(self, indices: NDArray[np.int64], /) -> NDArray[np.int8]:
        """See `Memo.recall`."""
        wanted = check_indices(indices, "indices", error=MemoError)
        found = np.isin(wanted, self._indices, assume_unique=True)
        answers = np.full(wanted.shape, -1, np.int8)
        answers[found] = self._answers[np.searchsorted(self._indices, wanted[found])]
        return answers

    def known(self) -> tuple[NDArray[np.int64], NDArray[np.int8]]:
        """Every index that was answered for, ascending, and its answer: to keep a simulation."""
        return self._indices.copy(), self._answers.copy()

    def remember(self, indices: NDArray[np.int64], answers: NDArray[np.int8], /) -> None:
        """See `Memo.remember`."""
        indices, answers = check_answers(indices, answers)
        known = self.recall(indices)
        if np.any((known >= 0) & (known != answers)):
            raise MemoError("an index already has the other permanent answer")
        new = known < 0
        places = np.searchsorted(self._indices, indices[new])
        self._answers = np.insert(self._answers, places, answers[new])
        self._indices = np.insert(self._indices, places, indices[new])


def check_answers(indices: ArrayLike, answers: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int8]]:
    """What a memo may be told: as many answers, each 0 or 1, as valid indices. Raises MemoError."""
    checked, bits = check_indices(indices, "indices", error=MemoError), np.asarray(answers)
    if bits.shape != checked.shape or not np.isin(bits, (0, 1)).all():
        raise MemoError("answers must be 0 or 1, one for each index")
    return checked, bits.astype(np.int8)
