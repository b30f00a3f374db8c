"""The claim of one client in one round: which indices of the union it says it wants."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dp.errors import MemoError, PrivacyError
from dp.indices import check_indices
from dp.ledger import Ledger
from dp.memo import Memo
from dp.response import TwoStage
from dp.sampling import Rng, bernoulli_where

__all__ = ["privatize"]


def privatize(
    response: TwoStage,
    union: ArrayLike,
    held: ArrayLike,
    memo: Memo,
    rng: Rng = os.urandom,
    *,
    ledger: Ledger | None = None,
) -> NDArray[np.bool_]:
    """The claim: a bool mask over `union`, (n,). `union` and `held` are sorted sets of non-negative int64 indices.

    Held indices outside the union are not answered. `ledger` is charged first, then new permanent answers reach `memo`,
    in one batch, before the claim is returned; an answer once given stays, also when the index is later gained or lost.
    Either set may be empty.
    Raises PrivacyError; MemoError if the memo contradicts itself; BudgetExceededError if `ledger` does not cover it.
    """
    if ledger is not None and ledger.budget.response != response:
        raise PrivacyError("the ledger accounts for another response")
    asked = check_indices(union, "union")
    truth = np.isin(asked, check_indices(held, "held"), assume_unique=True)
    recalled = _recalled(memo, asked)
    if (
        ledger is not None
    ):  # before the memo: else a second try would take what replaces a lost answer for the first one
        ledger.charge_claim(asked, recalled >= 0)
    permanent = _permanent(response, asked, truth, recalled, memo, rng)
    return bernoulli_where(permanent, response.p3, response.p4, rng)


def _recalled(memo: Memo, asked: NDArray[np.int64]) -> NDArray[np.int8]:
    recalled = np.asarray(memo.recall(asked))
    if recalled.shape != asked.shape or not np.isin(recalled, (-1, 0, 1)).all():
        raise MemoError("the memo must recall -1, 0 or 1, once for each index")
    return recalled


def _permanent(
    response: TwoStage,
    asked: NDArray[np.int64],
    truth: NDArray[np.bool_],
    recalled: NDArray[np.int8],
    memo: Memo,
    rng: Rng,
) -> NDArray[np.bool_]:
    new = recalled < 0
    answers = bernoulli_where(truth[new], response.p1, response.p2, rng)
    if new.any():
        memo.remember(asked[new], answers.astype(np.int8))
    permanent: NDArray[np.bool_] = recalled == 1
    permanent[new] = answers
    return permanent
