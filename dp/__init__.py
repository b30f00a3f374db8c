"""Differential privacy of claims: two-stage randomized response, exact samplers, exact accounting, memoised answers."""

from __future__ import annotations

from dp.anonymity import expected_share, group_falls_below, lone_contribution, row_goes_up, row_shrinks
from dp.bounds import FORMULAS, Bound
from dp.claims import privatize
from dp.confidence import epsilon_at_least, probability_at_least, probability_at_most
from dp.divergence import Pair
from dp.errors import MemoError, PrivacyError
from dp.indices import check_indices
from dp.loss import Loss, Witness
from dp.memo import InMemoryMemo, Memo, check_answers
from dp.response import MAX_ROUNDS, PRESETS, TwoStage
from dp.sampling import Rng, bernoulli, bernoulli_where, uniform

__all__ = [
    "TwoStage",
    "PRESETS",
    "MAX_ROUNDS",
    "Loss",
    "Witness",
    "Pair",
    "Bound",
    "FORMULAS",
    "lone_contribution",
    "row_goes_up",
    "expected_share",
    "group_falls_below",
    "row_shrinks",
    "epsilon_at_least",
    "probability_at_least",
    "probability_at_most",
    "privatize",
    "Memo",
    "InMemoryMemo",
    "Rng",
    "bernoulli",
    "bernoulli_where",
    "uniform",
    "check_indices",
    "check_answers",
    "PrivacyError",
    "MemoError",
]
