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
        self._answers: dict[int, int] = {}

    def recall(self, indices: NDArray[np.int64], /) -> NDArray[np.int8]:
        """See `Memo.recall`."""
        wanted = check_indices(indices, "indices", error=MemoError).tolist()
        return np.fromiter((self._answers.get(index, -1) for index in wanted), np.int8, len(wanted))

    def known(self) -> tuple[NDArray[np.int64], NDArray[np.int8]]:
        """Every index that was answered for, ascending, and its answer: to keep a simulation."""
        indices = np.array(sorted(self._answers), np.int64)
        return indices, self.recall(indices)

    def remember(self, indices: NDArray[np.int64], answers: NDArray[np.int8], /) -> None:
        """See `Memo.remember`."""
        indices, answers = check_answers(indices, answers)
        known = self.recall(indices)
        if np.any((known >= 0) & (known != answers)):
            raise MemoError("an index already has the other permanent answer")
        self._answers.update(zip(indices.tolist(), answers.tolist(), strict=True))


def check_answers(indices: ArrayLike, answers: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int8]]:
    """What a memo may be told: as many answers, each 0 or 1, as valid indices. Raises MemoError."""
    checked, bits = check_indices(indices, "indices", error=MemoError), np.asarray(answers)
    if bits.shape != checked.shape or not np.isin(bits, (0, 1)).all():
        raise MemoError("answers must be 0 or 1, one for each index")
    return checked, bits.astype(np.int8)
