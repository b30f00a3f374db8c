from collections import Counter
from fractions import Fraction
from itertools import product
from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dp import (
    PrivacyError,
    TwoStage,
    expected_share,
    group_falls_below,
    lone_contribution,
    row_goes_up,
    row_shrinks,
)
from dp.binomial import MAX_TRIALS, count, weights

PROBABILITY = st.fractions(0, 1, max_denominator=9)
RESPONSES = st.builds(TwoStage, PROBABILITY, PROBABILITY, PROBABILITY, PROBABILITY)
SEVEN_EIGHTHS, TRUTH = TwoStage.parse("7/8"), TwoStage.parse("none")


def enumerated(response, cohort, holders):
    """(claims of holders, claims of others, probability) of every outcome of a small cohort."""
    coins = [response.q1] * holders + [response.q0] * (cohort - holders)
    for bits in product((0, 1), repeat=cohort):
        chance = Fraction(1)
        for bit, p in zip(bits, coins, strict=True):
            chance *= p if bit else 1 - p
        yield sum(bits[:holders]), sum(bits[holders:]), chance


@given(trials=st.integers(0, 12), yes=st.integers(0, 9), no=st.integers(0, 9))
def test_weights_are_binomial(trials, yes, no):
    assert weights(trials, yes, no) == [comb(trials, k) * yes**k * no ** (trials - k) for k in range(trials + 1)]


@settings(max_examples=40)
@given(first=st.integers(0, 5), second=st.integers(0, 5), p=PROBABILITY, q=PROBABILITY)
def test_two_groups_of_coins_equal_an_enumeration(first, second, p, q):
    law = Counter()
    for bits in product((0, 1), repeat=first + second):
        chance = Fraction(1)
        for place, bit in enumerate(bits):
            coin = p if place < first else q
            chance *= coin if bit else 1 - coin
        law[sum(bits)] += chance
    counted = count((first, p), (second, q))
    assert [counted.exactly(k) for k in range(first + second + 1)] == [law[k] for k in range(first + second + 1)]


def test_a_large_law_sums_to_one():
    law = count((500, Fraction(25, 32)), (1500, Fraction(7, 32)))
    assert sum(law.weights) == law.total
    mean = Fraction(sum(k * w for k, w in enumerate(law.weights)), law.total)
    assert mean == 500 * Fraction(25, 32) + 1500 * Fraction(7, 32)


@settings(max_examples=40)
@given(response=RESPONSES, cohort=st.integers(1, 6), data=st.data())
def test_rows_equal_an_enumeration(response, cohort, data):
    holders, floor = data.draw(st.integers(0, cohort)), data.draw(st.integers(0, cohort + 1))
    outcomes = list(enumerated(response, cohort, holders))
    assert lone_contribution(response, holders) == sum(p for real, _, p in outcomes if real == 1)
    assert row_goes_up(response, cohort, holders, floor) == sum(p for a, b, p in outcomes if a + b >= floor)
    wanted, loss = data.draw(st.integers(0, cohort)), data.draw(PROBABILITY)
    assert row_shrinks(response, cohort, holders, floor, wanted, loss) == sum(
        p * group_falls_below(a + b, wanted, loss) for a, b, p in outcomes if a + b >= floor
    )


@given(claimants=st.integers(0, 8), wanted=st.integers(0, 9), loss=PROBABILITY)
def test_a_group_after_losses_equals_a_sum(claimants, wanted, loss):
    left = [comb(claimants, k) * (1 - loss) ** k * loss ** (claimants - k) for k in range(claimants + 1)]
    assert group_falls_below(claimants, wanted, loss) == sum(left[:wanted])


def test_fillers_hide_no_update():
    assert lone_contribution(SEVEN_EIGHTHS, 1) == Fraction(25, 32)
    assert lone_contribution(SEVEN_EIGHTHS, 2) == 2 * Fraction(25, 32) * Fraction(7, 32)
    assert lone_contribution(TRUTH, 1) == 1
    assert lone_contribution(TRUTH, 2) == lone_contribution(SEVEN_EIGHTHS, 0) == 0


def test_without_fillers_only_popular_rows_go_up():
    assert expected_share(TRUTH, 100, {1: 836, 7: 100, 8: 64}, 8) == Fraction(64, 1000)
    assert row_goes_up(TwoStage.parse("union"), 100, 1, 100) == 1


def test_the_dropout_margin_has_its_known_answers():
    """Fewer than 67 of 100 clients left: protocol aborts."""
    assert float(group_falls_below(100, 67, Fraction(1, 5))) == pytest.approx(7.3688e-4, rel=1e-5)
    assert float(group_falls_below(100, 67, Fraction(3, 10))) == pytest.approx(0.22074, abs=5e-6)


@pytest.mark.parametrize(
    ("call", "setting"),
    [
        (lambda: lone_contribution(SEVEN_EIGHTHS, -1), "holders"),
        (lambda: row_goes_up(SEVEN_EIGHTHS, 3, 4, 1), "holders"),
        (lambda: row_goes_up(SEVEN_EIGHTHS, MAX_TRIALS + 1, 1, 1), "coins"),
        (lambda: expected_share(SEVEN_EIGHTHS, 9, {}, 1), "holders"),
        (lambda: group_falls_below(-1, 1, Fraction(1, 2)), "coins"),
        (lambda: group_falls_below(3, 1, Fraction(3, 2)), "probability"),
    ],
)
def test_impossible_rows_are_refused(call, setting):
    with pytest.raises(PrivacyError, match=setting):
        call()
