"""The claim of one client in one round: which indices of the union it says it wants."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dp.errors import MemoError
from dp.indices import check_indices
from dp.memo import Memo
from dp.response import TwoStage
from dp.sampling import Rng, bernoulli_where

__all__ = ["privatize"]


def privatize(
    response: TwoStage, union: ArrayLike, held: ArrayLike, memo: Memo, rng: Rng = os.urandom
) -> NDArray[np.bool_]:
    """The claim: a bool mask over `union`, (n,). `union` and `held` are sorted sets of non-negative int64 indices.

    Held indices outside the union are not answered. New permanent answers reach `memo` before the claim is returned, in
    one batch; an answer once given stays, also when the index is later gained or lost. Either set may be empty.
    Raises PrivacyError, and MemoError if the memo contradicts itself.
    """
    asked = check_indices(union, "union")
    truth = np.isin(asked, check_indices(held, "held"), assume_unique=True)
    permanent = _permanent(response, asked, truth, memo, rng)
    return bernoulli_where(permanent, response.p3, response.p4, rng)


def _permanent(
    response: TwoStage, asked: NDArray[np.int64], truth: NDArray[np.bool_], memo: Memo, rng: Rng
) -> NDArray[np.bool_]:
    recalled = np.asarray(memo.recall(asked))
    if recalled.shape != asked.shape or not np.isin(recalled, (-1, 0, 1)).all():
        raise MemoError("the memo must recall -1, 0 or 1, once for each index")
    new = recalled < 0
    answers = bernoulli_where(truth[new], response.p1, response.p2, rng)
    if new.any():
        memo.remember(asked[new], answers.astype(np.int8))
    permanent: NDArray[np.bool_] = recalled == 1
    permanent[new] = answers
    return permanent
