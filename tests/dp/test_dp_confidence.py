from fractions import Fraction
from math import comb, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dp import PrivacyError, TwoStage, epsilon_at_least, probability_at_least, probability_at_most
from dp.confidence import GRID

ALPHA = Fraction(1, 20)


@pytest.mark.parametrize(("trials", "known"), [(10**4, 0.470179), (10**6, 0.506776)])
def test_trials_of_three_quarters_have_their_known_answers(trials, known):
    response = TwoStage.parse("3/4")
    bound = epsilon_at_least((int(trials * response.q1), trials), (int(trials * response.q0), trials), ALPHA)
    assert round(bound, 6) == known
    assert (bound.kind, bound.formula) == ("lower", "clopper-pearson")
    assert bound < response.epsilon_round()


def tail(trials, successes, p):
    return sum(comb(trials, k) * p**k * (1 - p) ** (trials - k) for k in range(successes, trials + 1))


@given(data=st.data(), trials=st.integers(1, 40), alpha=st.fractions(Fraction(1, 1000), Fraction(1, 2)))
def test_a_bound_is_the_last_grid_point_that_the_exact_tail_allows(data, trials, alpha):
    successes = data.draw(st.integers(0, trials))
    bound = probability_at_least(successes, trials, alpha)
    assert bound <= Fraction(successes, trials)
    if successes:
        assert tail(trials, successes, bound) <= alpha
        assert tail(trials, successes, bound + Fraction(2, GRID)) > alpha
    assert probability_at_most(trials - successes, trials, alpha) == 1 - bound


def test_nothing_is_proved_by_too_few_trials():
    assert epsilon_at_least((0, 10), (0, 10), ALPHA) == 0
    assert epsilon_at_least((5, 10), (5, 10), ALPHA) == 0
    assert epsilon_at_least((10, 10), (0, 10), ALPHA, delta=Fraction(99, 100)) == 0


def test_a_perfect_attack_proves_what_its_trials_allow():
    surely = float(ALPHA / 2) ** 0.01  # p^100 = alpha / 2
    assert epsilon_at_least((100, 100), (0, 100), ALPHA) == pytest.approx(log(surely / (1 - surely)), rel=1e-9)


@pytest.mark.parametrize(
    ("successes", "trials", "alpha", "setting"),
    [(1, 0, ALPHA, "trials"), (3, 2, ALPHA, "trials"), (-1, 2, ALPHA, "trials"), (1, 2, Fraction(0), "alpha")],
)
def test_impossible_trials_are_refused(successes, trials, alpha, setting):
    with pytest.raises(PrivacyError, match=setting):
        probability_at_least(successes, trials, alpha)
