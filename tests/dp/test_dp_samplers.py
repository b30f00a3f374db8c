from collections import Counter
from fractions import Fraction
from itertools import product
from math import exp, floor, lgamma, log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dp import DiscreteGaussian, DiscreteLaplace, PrivacyError, Skellam
from dp.exponential import bernoulli_exp, streak
from dp.inversion import Inversion
from dp.samplers import (
    MAX_RATE,
    _poisson_bounds,
    discrete_gaussian,
    discrete_laplace,
    poisson,
    skellam,
)


def seeded(seed):
    return np.random.default_rng(seed).bytes


def chi_square(samples, mass, reach):
    """Deviations of the statistic over -reach..reach and the rest, from its mean; above 5 has chance 10^-6 or so."""
    found = Counter(samples.tolist())
    expected = {x: mass(x) * len(samples) for x in range(-reach, reach + 1)}
    cells = {x: expectation for x, expectation in expected.items() if expectation >= 10}
    seen = [(found[x], expectation) for x, expectation in cells.items()]
    rest, expectation = len(samples) - sum(found[x] for x in cells), len(samples) - sum(cells.values())
    if expectation > 5:
        seen.append((rest, expectation))
    else:
        assert rest < 30
    statistic = sum((a - b) ** 2 / b for a, b in seen)
    return (statistic - len(seen) + 1) / sqrt(2 * len(seen))


def poisson_mass(rate):
    return lambda k: exp(k * log(rate) - rate - lgamma(k + 1)) if k >= 0 else 0.0


LAWS = {
    "laplace 5": DiscreteLaplace(Fraction(5)),
    "laplace 2/7": DiscreteLaplace(Fraction(2, 7)),
    "laplace 101/10": DiscreteLaplace(Fraction(101, 10)),
    "gaussian 1/10": DiscreteGaussian(Fraction(1, 10)),
    "gaussian 26/100": DiscreteGaussian(Fraction(26, 100)),
    "gaussian 1": DiscreteGaussian(Fraction(1)),
    "gaussian 39/10": DiscreteGaussian(Fraction(39, 10)),
    "gaussian 100": DiscreteGaussian(Fraction(100)),
    "sum of 6 gaussians 1/4": DiscreteGaussian(Fraction(1, 4), 6),
    "skellam 1/3": Skellam(Fraction(1, 3)),
    "skellam 25": Skellam(Fraction(25)),
    "skellam 1000": Skellam(Fraction(1000)),
}


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_samples_fit_the_exact_law(law):
    masses = law.masses()
    samples = law.sample(40_000, seeded(1))
    assert samples.dtype == np.int64
    assert chi_square(samples, lambda x: masses.values[masses.reach + x], min(masses.reach, 200)) < 5
    assert samples.var() == pytest.approx(masses.variance, rel=0.08)


@pytest.mark.slow
@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_many_samples_fit_the_exact_law(law):
    masses = law.masses()
    samples = law.sample(500_000, seeded(2))
    assert chi_square(samples, lambda x: masses.values[masses.reach + x], min(masses.reach, 300)) < 5


@pytest.mark.parametrize("rate", [Fraction(1, 50), Fraction(2), Fraction(77, 3), Fraction(150)], ids=str)
def test_poisson_samples_fit_the_exact_law(rate):
    assert chi_square(poisson(rate, 40_000, seeded(3)), poisson_mass(float(rate)), 160) < 5


@pytest.mark.parametrize(
    "rate", [Fraction(10**6), Fraction(2**24, 3), pytest.param(Fraction(MAX_RATE), marks=pytest.mark.slow)], ids=str
)
def test_wide_poisson_laws_have_their_moments(rate):
    samples = poisson(rate, 100_000, seeded(4)) - float(rate)
    assert abs(samples.mean()) < 5 * sqrt(rate / 100_000)
    assert samples.var() == pytest.approx(float(rate), rel=0.03)


class Tape:
    """Bytes from a list; more than there are is an IndexError."""

    def __init__(self, data):
        self.data = list(data)

    def __call__(self, count):
        return bytes(self.data.pop(0) for _ in range(count))


def outcomes(draw, alphabet, depth):
    """Chance of every outcome over all tapes of `depth` symbols, and of tapes that are too short."""
    law, open_tapes = Counter(), [()]
    for length in range(depth + 1):
        longer = []
        for tape in open_tapes:
            try:
                law[draw(Tape(tape))] += Fraction(1, alphabet**length)
            except IndexError:
                longer += [(*tape, symbol) for symbol in range(alphabet)]
        open_tapes = longer
    return law, 1 - sum(law.values())


@pytest.mark.parametrize("gamma", [Fraction(0), Fraction(1, 2), Fraction(1, 4), Fraction(3, 4), Fraction(1)], ids=str)
def test_coins_of_exponential_bias_are_exact_over_all_tapes(gamma):
    numerators = np.array([gamma.numerator], np.uint64)
    law, undecided = outcomes(lambda rng: bool(bernoulli_exp(numerators, gamma.denominator, rng)[0]), 4, 5)
    assert undecided < Fraction(1, 4)
    assert float(law[True]) <= exp(-gamma) <= float(law[True] + undecided)


@given(numerators=st.lists(st.integers(0, 40), min_size=1, max_size=5), denominator=st.integers(1, 9))
def test_coins_of_exponential_bias_come_one_for_each_entry(numerators, denominator):
    coins = bernoulli_exp(np.array(numerators, np.uint64), denominator, seeded(5))
    assert coins.shape == (len(numerators),)
    assert all(coin or numerator for coin, numerator in zip(coins, numerators, strict=True))


@pytest.mark.parametrize("gamma", [Fraction(1, 3), Fraction(5, 7), Fraction(1), Fraction(7, 3), Fraction(4)], ids=str)
def test_coins_of_exponential_bias_have_it(gamma):
    numerators = np.full(200_000, gamma.numerator, np.uint64)
    heads = bernoulli_exp(numerators, gamma.denominator, seeded(6)).mean()
    assert heads == pytest.approx(exp(-gamma), abs=5 * 0.5 / sqrt(200_000))


def test_streaks_stop_at_their_limits():
    limits = np.array([0, 1, 2, 50], np.uint64).repeat(50_000)
    lengths = streak(limits, seeded(7)).reshape(4, -1)
    assert (lengths.max(axis=1)[:3] == [0, 1, 2]).all()
    assert lengths[1].mean() == pytest.approx(exp(-1), abs=0.01)
    assert lengths[3].mean() == pytest.approx(1 / (np.e - 1), abs=0.02)


def test_inversion_is_exact_over_all_words():
    """Words of 8 bits leave much to a second word: all 65,536 pairs give each k its 2^16 P[X = k], to the last pair."""
    law = Inversion(lambda bits: _poisson_bounds(Fraction(3, 2), bits), word=8)
    decided = Counter()
    for first, second in product(range(256), repeat=2):
        try:
            decided[int(law.sample(1, Tape([first, second]))[0])] += 1
        except IndexError:
            decided["third word"] += 1
    assert decided["third word"] <= 16
    below = 0
    for k in range(12):
        distribution = 2**16 * sum(poisson_mass(1.5)(i) for i in range(k + 1))
        below += decided[k]
        assert floor(distribution) - decided["third word"] <= below <= distribution


@given(rate=st.fractions(Fraction(1, 50), 300, max_denominator=50), bits=st.sampled_from([8, 64, 128]))
def test_bounds_of_the_poisson_law_hold_it_tightly(rate, bits):
    first, below, above = _poisson_bounds(rate, bits)
    assert all(0 <= high - low <= 1 + (first > 0) for low, high in zip(below, above, strict=True))
    assert below == sorted(below)
    assert below[-1] >= 2**bits - 1
    exact, mass = 0.0, exp(-rate)
    for k in range(first + len(below)):
        exact, mass = exact + mass, mass * float(rate) / (k + 1)
        if k >= first:
            assert below[k - first] <= exact * 2**bits * (1 + 1e-9) + 1
            assert above[k - first] >= exact * 2**bits * (1 - 1e-9)


def test_a_table_that_begins_late_leaves_nothing_out():
    first, below, _ = _poisson_bounds(Fraction(10**6), 64)
    assert 980_000 < first < 995_000
    assert below[0] == 0


DRAWS = {
    "laplace": lambda rng: discrete_laplace(Fraction(3), 10, rng),
    "gaussian": lambda rng: discrete_gaussian(Fraction(3), 10, rng),
    "poisson": lambda rng: poisson(Fraction(3), 10, rng),
    "skellam": lambda rng: skellam(Fraction(3), 10, rng),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_b4_a_source_of_the_wrong_length_is_refused(draw):
    with pytest.raises(PrivacyError, match="rng returned"):
        draw(lambda count: bytes(count - 1))


@pytest.mark.parametrize("draw", [DRAWS["laplace"], DRAWS["gaussian"]])
@pytest.mark.parametrize("byte", [b"\0", b"\xff"])
def test_b4_a_stuck_source_is_refused(draw, byte):
    with pytest.raises(PrivacyError, match="rng"):
        draw(lambda count: byte * count)


def test_b4_a_source_that_never_leaves_a_boundary_is_refused():
    law = Inversion(lambda bits: (0, [0, 2**bits - 1], [2**bits, 2**bits]), word=8)
    with pytest.raises(PrivacyError, match="rng"):
        law.sample(1, lambda count: bytes(count))


def test_the_default_source_is_the_operating_system():
    assert len(set(discrete_gaussian(Fraction(10**11), 50).tolist())) > 45
    assert discrete_laplace(Fraction(1), 0).shape == (0,)


@pytest.mark.parametrize(
    ("call", "setting"),
    [
        (lambda: discrete_laplace(Fraction(0), 1), "scale"),
        (lambda: discrete_laplace(3.0, 1), "scale"),
        (lambda: discrete_gaussian(Fraction(-1), 1), "sigma2"),
        (lambda: discrete_gaussian(Fraction(1, 2**39), 1), "sigma2"),
        (lambda: poisson(Fraction(MAX_RATE + 1), 1), "rate"),
        (lambda: skellam(Fraction(0), 1), "rate"),
    ],
)
def test_laws_that_cannot_be_drawn_are_refused_by_name(call, setting):
    with pytest.raises(PrivacyError, match=setting):
        call()
