from fractions import Fraction
from math import comb, exp, inf, log, pi

import gmpy2
import numpy as np
import pytest
from gmpy2 import mpfr, mpq
from hypothesis import given
from hypothesis import strategies as st

from dp import DiscreteGaussian, DiscreteLaplace, Masses, PrivacyError, Skellam
from dp.noise import _gaussian

MILLIONTH = Fraction(1, 10**6)


def held(masses):
    """By x, the mass that is held."""
    return dict(zip(range(-masses.reach, masses.reach + 1), masses.values.tolist(), strict=True))


def proportional(weight, reach):
    """Masses in proportion to `weight`, in 300 bits; the sum runs far beyond the reach."""
    weights = {x: weight(x) for x in range(-reach, reach + 1)}
    total = gmpy2.fsum(list(weights.values()))
    return {x: w / total for x, w in weights.items()}


def gaussian(sigma2):
    return proportional(lambda x: gmpy2.exp(-mpq(x * x, 2) / mpq(sigma2)), 400)


def laplace(scale):
    return proportional(lambda x: gmpy2.exp(-mpq(abs(x)) / mpq(scale)), 4000)


def skellam(variance):
    """e^-mu sum over m of (mu / 2)^(2m + |x|) / (m! (m + |x|)!)."""
    half = mpfr(mpq(variance)) / 2

    def mass(x):
        term = half ** abs(x) / gmpy2.factorial(abs(x))
        total, m = term, 0
        while term > total * mpfr(2) ** -250:
            m += 1
            term *= half**2 / (m * (m + abs(x)))
            total += term
        return total * gmpy2.exp(-mpfr(mpq(variance)))

    return {x: mass(x) for x in range(-300, 301)}


LAWS = {
    "gaussian 1/3": (DiscreteGaussian(Fraction(1, 3)), gaussian),
    "gaussian 1": (DiscreteGaussian(Fraction(1)), gaussian),
    "gaussian 77/2": (DiscreteGaussian(Fraction(77, 2)), gaussian),
    "laplace 3/2": (DiscreteLaplace(Fraction(3, 2)), laplace),
    "laplace 6": (DiscreteLaplace(Fraction(6)), laplace),
    "skellam 1/10": (Skellam(Fraction(1, 10)), skellam),
    "skellam 25": (Skellam(Fraction(25)), skellam),
    "skellam 100": (Skellam(Fraction(100)), skellam),
}


@pytest.mark.parametrize(("law", "oracle"), LAWS.values(), ids=LAWS)
def test_masses_are_those_of_the_definition(law, oracle):
    masses = law.masses()
    with gmpy2.context(precision=300):
        exact = oracle(next(iter(vars(law).values())))
        for x, mass in held(masses).items():
            if x in exact:
                assert abs(mpfr(mass) / exact[x] - 1) <= masses.error
    assert masses.values[0] < 2.0**-690 * masses.values.max()
    assert abs(1 - masses.values.sum()) < 1e-12


def test_a_skellam_law_is_a_difference_of_poisson_laws_and_closed_under_sums():
    one = Skellam(Fraction(3)).masses()
    five, sum_of_five = Skellam(Fraction(15)).masses(), one.times(5)
    near, wide = held(five), held(sum_of_five)
    assert all(wide[x] == pytest.approx(near[x], rel=1e-11) for x in range(-60, 61))
    assert Skellam(Fraction(3)).times(5) == Skellam(Fraction(15))
    assert one.variance == pytest.approx(3)


@given(weights=st.lists(st.integers(1, 9), min_size=1, max_size=3), shares=st.integers(1, 6))
def test_sums_of_shares_are_convolutions(weights, shares):
    side = np.array(sorted(weights, reverse=True), dtype=float)
    values = np.concatenate((side[:0:-1], side))
    masses, expected = Masses(values / values.sum(), 1e-15, 0.0), np.ones(1)
    for _ in range(shares):
        expected = np.convolve(expected, values / values.sum())
    assert masses.times(shares).values == pytest.approx(expected, rel=1e-12)
    assert masses.times(shares).error < 1e-12


def test_a_sum_of_coins_is_binomial():
    """Two-sided coins: Masses are no noise law here, only a law with a sum that is known exactly."""
    step = Masses(np.array([0.25, 0.5, 0.25]), 0.0, 0.0)
    assert step.times(20).values.tolist() == [comb(40, k) / 2**40 for k in range(41)]


@pytest.mark.parametrize("sigma2", [Fraction(1, 4), Fraction(1, 2), Fraction(1), Fraction(2)], ids=str)
@pytest.mark.parametrize("shares", [2, 3, 10, 50])
def test_sums_of_discrete_gaussians_are_as_near_to_one_as_tau_says(sigma2, shares):
    law = DiscreteGaussian(sigma2, shares)
    total, single = held(law.masses()), held(_gaussian(float(shares * sigma2), 0.0))
    reach = int(12 * float(shares * sigma2) ** 0.5)
    off = max(abs(log(total[x] / single[x])) for x in range(-reach, reach + 1))
    assert off <= law.tau / 2 + 1e-10


def test_tau_is_the_papers_sum():
    assert DiscreteGaussian(Fraction(1, 2)).tau == 0
    assert DiscreteGaussian(Fraction(1, 2), 2).tau == pytest.approx(10 * exp(-(pi**2) / 2))
    assert DiscreteGaussian(Fraction(1, 2), 10).tau == pytest.approx(0.1051340890642)


def test_many_wide_shares_are_taken_for_a_single_gaussian():
    wide = DiscreteGaussian(Fraction(4), 1000).masses()
    assert wide.variance == pytest.approx(4000)
    assert wide.error < 1e-11


def brute_delta(law, shift, epsilon):
    masses = held(law.masses())
    return sum(max(0.0, mass - exp(epsilon) * masses.get(x - shift, 0.0)) for x, mass in masses.items())


@pytest.mark.parametrize(("law", "shift"), [(law, d) for law, _ in LAWS.values() for d in (1, 2, 5)], ids=str)
def test_the_hockey_stick_is_a_tail_and_epsilon_its_inverse(law, shift):
    masses = law.masses()
    for epsilon in (0.0, 0.3, 1.0, 4.0):
        assert masses.delta(shift, epsilon) == pytest.approx(brute_delta(law, shift, epsilon), rel=1e-9, abs=1e-13)
        assert masses.delta(shift, epsilon).kind == "upper"
    for delta in (Fraction(1, 10), MILLIONTH, Fraction(1, 10**12)):
        epsilon = masses.epsilon(shift, delta)
        assert epsilon.kind == "exact"
        if 0 < epsilon < 200:
            assert masses.delta(shift, epsilon) == pytest.approx(float(delta), rel=1e-8)


@pytest.mark.parametrize("error", [1e-6, 1e-3, 0.05])
@pytest.mark.parametrize("shift", [1, 3])
@pytest.mark.parametrize("edge", range(10))
def test_bounds_hold_for_the_worst_that_the_error_allows(error, shift, edge):
    """Masses of a tail {x >= edge} that are too small where it counts for it, and too large where against."""
    true = Skellam(Fraction(6)).masses()
    x = np.abs(np.arange(-true.reach, true.reach + 1))
    rough = Masses(true.values / np.where(x < edge + shift, 1 + error, 1 - error), error, true.cut)
    for delta in (Fraction(1, 10), Fraction(1, 1000)):
        assert rough.epsilon(shift, delta) >= true.epsilon(shift, delta) * (1 - 1e-9)
        assert rough.epsilon(shift, delta).kind == "upper" or rough.epsilon(shift, delta) == 0
    assert rough.delta(shift, 0.2) >= true.delta(shift, 0.2) * (1 - 1e-9)


def test_errors_and_cuts_of_sums_hold_what_those_of_their_parts_allow():
    true = Skellam(Fraction(2)).masses()
    inner = true.values[true.reach - 6 : true.reach + 7]
    part = Masses(inner / 1.01, 0.01, float(1 - inner.sum()))
    total, exact = part.times(3), Skellam(Fraction(6)).masses()
    assert total.error >= 1.01**3 - 1
    tails = [masses.values[masses.reach + 5 :].sum() for masses in (total, exact)]
    assert tails[0] <= tails[1] <= tails[0] * (1 + total.error) + total.cut
    assert total.values.sum() * (1 + total.error) + total.cut >= 1


def test_what_a_single_gaussian_differs_by_is_in_the_error():
    law = DiscreteGaussian(Fraction(13, 4))
    off = law.times(50).masses().error - law.masses().error
    assert law.times(50).masses().reach < 500  # no convolution of 50 laws
    assert off == pytest.approx(law.times(50).tau / 2, rel=1e-2)
    assert off > 1e-14


def test_epsilon_of_a_discrete_laplace_is_pure():
    masses = DiscreteLaplace(Fraction(5)).masses()
    assert masses.epsilon(5, Fraction(1, 10**100)) == pytest.approx(1)
    assert masses.delta(5, 1.0001) < 1e-200


def test_bounds_at_extremes_stay_bounds():
    masses = DiscreteGaussian(Fraction(4)).masses()
    assert masses.epsilon(0, MILLIONTH) == 0
    assert masses.epsilon(10**9, MILLIONTH) == inf
    assert masses.epsilon(10**9, MILLIONTH).kind == "upper"
    assert masses.delta(10**9, 1.0) == pytest.approx(1)
    assert masses.delta(1, 700.0) < 1e-200
    assert masses.epsilon(2, Fraction(1, 10**140)) > masses.epsilon(2, Fraction(1, 10**100)) > 10


@pytest.mark.parametrize(
    ("call", "setting"),
    [
        (lambda masses: masses.delta(1, -1.0), "epsilon"),
        (lambda masses: masses.delta(1, inf), "epsilon"),
        (lambda masses: masses.delta(-1, 1.0), "shift"),
        (lambda masses: masses.epsilon(-1, MILLIONTH), "shift"),
        (lambda masses: masses.epsilon(1, Fraction(1, 10**151)), "delta"),
        (lambda masses: masses.epsilon(1, Fraction(1)), "delta"),
    ],
)
def test_impossible_questions_are_refused_by_name(call, setting):
    with pytest.raises(PrivacyError, match=setting):
        call(Skellam(Fraction(2)).masses())
