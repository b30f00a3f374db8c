"""Differential privacy of claims and of noisy sums: exact samplers, exact accounting, and a ledger that refuses."""

from __future__ import annotations

from dp.anonymity import expected_share, group_falls_below, lone_contribution, row_goes_up, row_shrinks
from dp.bounds import FORMULAS, Bound
from dp.budget import Budget, Spending
from dp.calibration import calibrate
from dp.claims import privatize
from dp.composition import PrivacyLoss, claims_loss, noise_loss
from dp.confidence import epsilon_at_least, probability_at_least, probability_at_most
from dp.divergence import Pair
from dp.errors import BudgetExceededError, MemoError, PrivacyError
from dp.indices import check_indices
from dp.ledger import InMemoryLedger, Ledger, check_charge
from dp.loss import Loss, Witness
from dp.masses import Masses
from dp.memo import InMemoryMemo, Memo, check_answers
from dp.noise import DiscreteGaussian, DiscreteLaplace, Noise, Skellam, sure_shares
from dp.release import Release
from dp.renyi import ORDERS, Sensitivity, renyi_epsilon, zcdp_epsilon
from dp.response import MAX_ROUNDS, PRESETS, TwoStage
from dp.sampling import Rng, bernoulli, bernoulli_where, uniform

__all__ = [
    # claims: the mechanism
    "TwoStage",
    "PRESETS",
    "MAX_ROUNDS",
    "privatize",
    "Memo",
    "InMemoryMemo",
    "check_answers",
    # claims: what they reveal
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
    # noise in sums: the mechanisms and what they reveal
    "Noise",
    "DiscreteGaussian",
    "DiscreteLaplace",
    "Skellam",
    "sure_shares",
    "Masses",
    "Sensitivity",
    "Release",
    "ORDERS",
    "renyi_epsilon",
    "zcdp_epsilon",
    "calibrate",
    "PrivacyLoss",
    "claims_loss",
    "noise_loss",
    # what was spent
    "Budget",
    "Spending",
    "Ledger",
    "InMemoryLedger",
    "check_charge",
    # randomness, and what goes wrong
    "Rng",
    "bernoulli",
    "bernoulli_where",
    "uniform",
    "check_indices",
    "PrivacyError",
    "MemoError",
    "BudgetExceededError",
]
