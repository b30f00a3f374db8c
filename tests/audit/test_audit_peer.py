"""Beside Google's dp-accounting: what the audit reports is never below what the peer knows for sure."""

from __future__ import annotations

from math import log
from typing import Any

import pytest
from subjects import figure, subject

from securefl.audit import claims
from securefl.audit.curves import curves

pytestmark = [pytest.mark.needs("dp_accounting"), pytest.mark.filterwarnings("ignore::DeprecationWarning")]

ODDS = ["15/16", "7/8", "3/4", "3/4,1/4,3/4,1/2", "0.9,0.2,0.8,0.1"]


def losses(odds: str, rounds: int, *, pessimistic: bool) -> list[Any]:
    """The peer's privacy loss distributions of the number of claims, both ways."""
    from dp_accounting.pld import privacy_loss_distribution as peer

    law = subject(privacy__response=odds).config.response.pair(rounds)
    held, absent = (
        {k: log(weight) - log(law.total) for k, weight in enumerate(side)} for side in (law.held, law.absent)
    )
    make = peer.from_two_probability_mass_functions
    return [
        make(*pair, pessimistic_estimate=pessimistic, value_discretization_interval=1e-5)
        for pair in ((held, absent), (absent, held))
    ]


@pytest.mark.parametrize("odds", ODDS)
@pytest.mark.parametrize("rounds", [1, 5])
def test_epsilon_is_never_below_the_peers_at_any_delta(odds: str, rounds: int) -> None:
    reported = figure(claims.budget(subject(rounds, privacy__response=odds)), "epsilon of an index after")
    for direction in losses(odds, rounds, pessimistic=False):
        for delta in (0.0, 1e-9, 1e-6, 1e-3):
            assert reported >= direction.get_epsilon_for_delta(delta) - 1e-9


@pytest.mark.parametrize("odds", ODDS)
def test_the_curve_of_delta_lies_between_the_peers_two_roundings(odds: str) -> None:
    curve = curves(subject(5, privacy__response=odds))["delta_epsilon"]
    for name, rounds in (("1 round", 1), ("5 rounds", 5)):
        below, above = (losses(odds, rounds, pessimistic=pessimistic) for pessimistic in (False, True))
        for epsilon, delta in zip(curve.x, curve.y[name], strict=True):
            told = delta or 0.0
            assert told >= max(one.get_delta_for_epsilon(epsilon) for one in below) - 1e-12
            assert told <= max(one.get_delta_for_epsilon(epsilon) for one in above) + 1e-12
