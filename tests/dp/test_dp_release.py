from fractions import Fraction
from math import inf, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dp import (
    DiscreteGaussian,
    DiscreteLaplace,
    PrivacyError,
    Release,
    Sensitivity,
    Skellam,
    calibrate,
    renyi_epsilon,
    sure_shares,
    zcdp_epsilon,
)

MILLIONTH = Fraction(1, 10**6)


def scalar(noise, shift, rounds=1):
    return Release(noise, Sensitivity.scalar(shift), rounds)


@pytest.mark.parametrize(
    ("noise", "shift", "exact", "published"),
    [
        (Skellam(Fraction(25)), 1, 0.775700, 0.921139),
        (Skellam(Fraction(100)), 10, 4.737543, 5.251429),
        (DiscreteGaussian(Fraction(1, 2), 10), 1, 2.009565, 2.699293),
        (DiscreteGaussian(Fraction(1), 100), 10, 4.885739, 5.225715),
    ],
    ids=str,
)
def test_central_noise_has_its_known_answers(noise, shift, exact, published):
    release = scalar(noise, shift)
    assert round(release.exact(MILLIONTH), 6) == exact
    assert release.exact(MILLIONTH).kind == "exact"
    if isinstance(noise, Skellam):
        bound = release.renyi(MILLIONTH)
    else:
        bound = zcdp_epsilon(noise.rho(release.sensitivity), MILLIONTH)
        assert exact < release.renyi(MILLIONTH) < bound
    assert round(bound, 6) == published
    assert (bound.kind, bound.formula) == ("upper", "noise-renyi")


def test_half_of_the_shares_protect_less():
    half = DiscreteGaussian(Fraction(1)).times(50)
    assert round(scalar(half, 10).exact(MILLIONTH), 3) == 7.292


def test_only_honest_shares_are_sure():
    assert sure_shares(threshold=67, colluders=10) == 58
    with pytest.raises(PrivacyError, match="colluders"):
        sure_shares(threshold=3, colluders=4)


@pytest.mark.parametrize(
    "noise",
    [
        Skellam(Fraction(7)),
        DiscreteGaussian(Fraction(20)),
        DiscreteGaussian(Fraction(1, 2), 40),
        DiscreteLaplace(Fraction(3)),
    ],
    ids=str,
)
def test_published_curves_are_never_below_the_exact_divergence(noise):
    logs = np.log(noise.masses().values)
    for shift in (1, 2, 5):
        near, moved = logs[shift:], logs[:-shift]
        for order in (1.1, 1.5, 2, 3, 8, 20):
            divergence = log(float(np.exp(order * near + (1 - order) * moved).sum())) / (order - 1)
            assert divergence <= noise.rdp(order, Sensitivity.scalar(shift)) * (1 + 1e-9)


def test_a_published_bound_is_near_where_noise_is_wide():
    release = scalar(Skellam(Fraction(10**6)), 1000)
    assert release.exact(MILLIONTH) < release.renyi(MILLIONTH) < 1.1 * release.exact(MILLIONTH)


def test_sums_of_small_shares_prove_nothing():
    noise, sensitivity = DiscreteGaussian(Fraction(1, 5), 10), Sensitivity.scalar(1)
    assert noise.rho(sensitivity) == noise.rdp(2, sensitivity) == Release(noise, sensitivity).renyi(MILLIONTH) == inf
    assert scalar(noise, 1).exact(MILLIONTH) < 10


@given(rounds=st.integers(1, 50))
def test_curves_add_up_over_rounds(rounds):
    release = scalar(Skellam(Fraction(400)), 3, rounds)
    assert release.rdp(5) == pytest.approx(rounds * scalar(Skellam(Fraction(400)), 3).rdp(5))
    again = renyi_epsilon(scalar(Skellam(Fraction(400)), 3).rdp, MILLIONTH, rounds)
    assert release.renyi(MILLIONTH) == pytest.approx(again)


@pytest.mark.parametrize(
    "release",
    [
        scalar(DiscreteLaplace(Fraction(3, 7)), 2),
        Release(DiscreteGaussian(Fraction(1, 2), 10), Sensitivity(Fraction(10), Fraction(50, 3), 7), 12),
        scalar(Skellam(Fraction(25)), 1, 3),
    ],
    ids=str,
)
def test_text_comes_back_as_the_same_release(release):
    assert Release.parse(str(release)) == release


@pytest.mark.parametrize(
    "text",
    [
        "",
        "skellam",
        "gumbel 1 moved 1 1 1 rounds 1",
        "skellam 25 moved 1 1 1 rounds 0",
        "skellam x moved 1 1 1 rounds 1",
        "skellam 25 3 moved 1 1 1 rounds 1",
        "skellam 1/0 moved 1 1 1 rounds 1",
    ],
)
def test_what_is_no_release_is_refused(text):
    with pytest.raises(PrivacyError):
        Release.parse(text)


FAMILIES = {
    "skellam": Skellam,
    "gaussian": DiscreteGaussian,
    "shares": lambda sigma2: DiscreteGaussian(sigma2, 30),
    "laplace": DiscreteLaplace,
}


@pytest.mark.parametrize("law", FAMILIES.values(), ids=FAMILIES)
@pytest.mark.parametrize("method", [Release.renyi, Release.exact], ids=["renyi", "exact"])
def test_calibrated_noise_is_enough_and_one_step_less_is_not(law, method):
    grid, sensitivity = Fraction(1, 16), Sensitivity.scalar(3)
    found = calibrate(law, sensitivity, 1.5, MILLIONTH, method=method, grid=grid)
    assert method(Release(law(found), sensitivity), MILLIONTH) <= 1.5
    assert method(Release(law(found - grid), sensitivity), MILLIONTH) > 1.5


def test_calibration_of_vectors_over_rounds():
    vector = Sensitivity(Fraction(640), Fraction(6400), 64)
    one, ten = (calibrate(Skellam, vector, 2.0, MILLIONTH, rounds) for rounds in (1, 10))
    assert ten == pytest.approx(10 * one, rel=0.01)


def test_impossible_promises_are_refused():
    with pytest.raises(PrivacyError, match="epsilon=0"):
        calibrate(Skellam, Sensitivity.scalar(1), 0, MILLIONTH)
    with pytest.raises(PrivacyError, match="more noise than can be drawn"):
        calibrate(Skellam, Sensitivity.scalar(10**6), 1e-4, MILLIONTH)


@pytest.mark.parametrize(
    ("call", "setting"),
    [
        (lambda: scalar(Skellam(Fraction(1)), 1, 0), "rounds"),
        (lambda: scalar(Skellam(Fraction(1)), 1, 2).exact(MILLIONTH), "rounds"),
        (
            lambda: Release(Skellam(Fraction(1)), Sensitivity(Fraction(2), Fraction(2), 2)).exact(MILLIONTH),
            "one integer",
        ),
        (
            lambda: Release(Skellam(Fraction(1)), Sensitivity(Fraction(1, 2), Fraction(1))).exact(MILLIONTH),
            "one integer",
        ),
        (lambda: scalar(Skellam(Fraction(1)), 1).renyi(Fraction(0)), "delta"),
        (lambda: scalar(Skellam(Fraction(1)), 1).exact(Fraction(0)), "delta"),
        (lambda: scalar(Skellam(Fraction(1)), 1).exact(1e-6), "delta"),
        (lambda: scalar(DiscreteGaussian(Fraction(2**38)), 1).exact(MILLIONTH), "too wide"),
        (lambda: Sensitivity(Fraction(-1), Fraction(1)), "sensitivity"),
        (lambda: DiscreteGaussian(0.5), "sigma2"),
        (lambda: DiscreteGaussian(Fraction(0)), "sigma2"),
        (lambda: DiscreteGaussian(Fraction(1), 0), "shares"),
        (lambda: DiscreteLaplace(Fraction(-1)), "scale"),
        (lambda: Skellam(Fraction(1, 2**39)), "variance"),
        (lambda: renyi_epsilon(lambda a: a, MILLIONTH, 0), "rounds"),
    ],
)
def test_impossible_releases_are_refused_by_name(call, setting):
    with pytest.raises(PrivacyError, match=setting):
        call()
