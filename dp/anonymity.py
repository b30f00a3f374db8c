"""How well a row of a submodel round hides among its claimants: exact, for one index with `holders` in a `cohort`.

Each holder claims with probability q1 and everybody else with q0, independently; what a filler adds to the sum is zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from dp.binomial import Count, count
from dp.errors import PrivacyError
from dp.response import TwoStage

__all__ = ["lone_contribution", "row_goes_up", "expected_share", "group_falls_below", "row_shrinks"]


def lone_contribution(response: TwoStage, holders: int) -> Fraction:
    """P[the row's sum is one client's update] = K q1 (1 - q1)^(K - 1), K = `holders`: fillers hide nothing in it."""
    if holders < 0:
        raise PrivacyError(f"holders={holders} must be 0 or more")
    return holders * response.q1 * (1 - response.q1) ** (holders - 1) if holders else Fraction(0)


def row_goes_up(response: TwoStage, cohort: int, holders: int, row_floor: int) -> Fraction:
    """P[at least `row_floor` of `cohort` clients claim the index]: below, every claimant leaves the row out."""
    return _claimants(response, cohort, holders).at_least(row_floor)


def expected_share(response: TwoStage, cohort: int, holders: Mapping[int, int], row_floor: int) -> Fraction:
    """Expected share of the union's rows that go up; `holders` maps a number of holders to how many rows have it."""
    rows = sum(holders.values())
    if rows <= 0 or min(holders.values()) < 0:
        raise PrivacyError("holders must count at least one row")
    up = (number * row_goes_up(response, cohort, held, row_floor) for held, number in holders.items())
    return sum(up, Fraction(0)) / rows


def group_falls_below(claimants: int, wanted: int, loss_rate: Fraction) -> Fraction:
    """P[fewer than `wanted` (m + c) of a row's `claimants` are left], each lost independently at `loss_rate`."""
    return 1 - count((claimants, 1 - loss_rate)).at_least(wanted)


def row_shrinks(
    response: TwoStage, cohort: int, holders: int, row_floor: int, wanted: int, loss_rate: Fraction
) -> Fraction:
    """P[the row goes up, and losses after the upload leave fewer than `wanted` claimants in its sum]."""
    law = _claimants(response, cohort, holders)
    sizes = range(max(0, row_floor), cohort + 1)
    return sum((law.exactly(k) * group_falls_below(k, wanted, loss_rate) for k in sizes), Fraction(0))


def _claimants(response: TwoStage, cohort: int, holders: int) -> Count:
    if not 0 <= holders <= cohort:
        raise PrivacyError(f"holders={holders} must be 0 to the cohort of {cohort}")
    return count((holders, response.q1), (cohort - holders, response.q0))
