"""Beside dp-accounting (Google): never below it where both apply, and never above an exact value by more than told."""

import subprocess
import sys
from fractions import Fraction
from itertools import product
from math import inf, log, prod

import pytest

from dp import (
    ORDERS,
    DiscreteGaussian,
    DiscreteLaplace,
    Pair,
    PrivacyError,
    Release,
    Sensitivity,
    Skellam,
    TwoStage,
    claims_loss,
    noise_loss,
    zcdp_epsilon,
)
from dp.rounding import log as log_ratio

MILLIONTH = Fraction(1, 10**6)
pytestmark = pytest.mark.needs("dp_accounting")


def scalar(noise, shift, rounds=1):
    return Release(noise, Sensitivity.scalar(shift), rounds)


@pytest.mark.parametrize("sigma", [3, 10])
@pytest.mark.parametrize("shift", [1, 4])
def test_one_discrete_gaussian_lies_between_both_roundings_of_the_peer(sigma, shift):
    from dp_accounting.pld import privacy_loss_distribution as peer

    low, high = (
        peer.from_discrete_gaussian_mechanism(
            sigma, shift, value_discretization_interval=1e-4, pessimistic_estimate=pessimistic
        ).get_epsilon_for_delta(1e-6)
        for pessimistic in (False, True)
    )
    exact = scalar(DiscreteGaussian(Fraction(sigma**2)), shift).exact(MILLIONTH)
    assert low - 1e-9 <= exact <= high + 1e-9  # all equal where losses are multiples of the interval
    assert high <= exact + 2e-4


@pytest.mark.parametrize("rounds", [1, 10, 100])
def test_composed_noise_is_never_below_the_peers(rounds):
    from dp_accounting.pld import privacy_loss_distribution as peer

    gaussian = peer.from_discrete_gaussian_mechanism(20, 3).self_compose(rounds).get_epsilon_for_delta(1e-6)
    ours = scalar(DiscreteGaussian(Fraction(400)), 3, rounds).composed(MILLIONTH)
    assert gaussian <= ours * (1 + 1e-9)
    assert ours <= gaussian + rounds * 1e-4
    assert (ours.kind, ours.formula) == ("upper", "noise-pld")
    laplace = peer.from_discrete_laplace_mechanism(0.1).self_compose(rounds).get_epsilon_for_delta(1e-6)
    ours = scalar(DiscreteLaplace(Fraction(10)), 1, rounds).composed(MILLIONTH)
    assert laplace <= ours * (1 + 1e-9) <= laplace + rounds * 1e-4


@pytest.mark.parametrize("release", [scalar(Skellam(Fraction(25)), 1), scalar(DiscreteGaussian(Fraction(1, 2), 10), 1)])
def test_composition_of_one_release_is_the_exact_value_rounded_up(release):
    assert release.exact(MILLIONTH) <= release.composed(MILLIONTH) <= release.exact(MILLIONTH) + 2e-4


def test_composition_beats_curves_and_one_round_after_another():
    release = scalar(Skellam(Fraction(2500)), 10, 100)
    one = scalar(Skellam(Fraction(2500)), 10).exact(MILLIONTH / 100)
    assert release.composed(MILLIONTH) < release.renyi(MILLIONTH) < 100 * one


@pytest.mark.parametrize("rho", [0.001, 0.1, 2.0, 30.0])
def test_conversion_is_the_peers(rho):
    from dp_accounting.rdp.rdp_privacy_accountant import compute_epsilon

    theirs, _ = compute_epsilon(ORDERS, [order * rho for order in ORDERS], 1e-6)
    assert theirs <= zcdp_epsilon(rho, MILLIONTH) <= theirs * (1 + 1e-9) + 1e-9


def test_discrete_curves_are_never_below_the_gaussians_of_their_variance():
    from dp_accounting.rdp.rdp_privacy_accountant import compute_epsilon

    gaussian = [order * 9 / (2 * 400) for order in ORDERS]
    theirs, _ = compute_epsilon(ORDERS, gaussian, 1e-6)
    assert theirs <= scalar(Skellam(Fraction(400)), 3).renyi(MILLIONTH) <= 1.01 * theirs
    assert theirs <= scalar(DiscreteGaussian(Fraction(4), 100), 3).renyi(MILLIONTH) <= 1.01 * theirs


@pytest.mark.parametrize("text", ["7/8", "3/4", "3/4,1/4,3/4,1/2", ".9,.2,.8,.1"])
@pytest.mark.parametrize("rounds", [1, 5])
def test_the_peer_never_is_below_the_exact_delta_of_claims(text, rounds):
    from dp_accounting.pld import privacy_loss_distribution as peer

    pair = TwoStage.parse(text).pair(rounds)
    held, absent = ({k: log_ratio(w, pair.total) for k, w in enumerate(s)} for s in (pair.held, pair.absent))
    theirs = peer.from_two_probability_mass_functions(absent, held, value_discretization_interval=1e-6, symmetric=False)
    for epsilon in (0.1, 0.5, 1.0):
        assert pair.delta(epsilon) <= theirs.get_delta_for_epsilon(epsilon) * (1 + 1e-9)
        assert pair.delta(epsilon) == pytest.approx(theirs.get_delta_for_epsilon(epsilon), abs=2e-6)


def test_a_set_of_claims_costs_less_than_its_worst_outcome():
    response = TwoStage.parse("7/8")
    pair, loss = response.pair(5), response.loss_rounds(5)
    for removed, added in ((1, 0), (0, 1), (3, 2)):
        composed = claims_loss(pair, removed, added).epsilon(MILLIONTH)
        assert composed <= loss.set_level(removed, added) + 5e-4
    assert claims_loss(pair, 1, 0).epsilon(MILLIONTH) >= pair.epsilon(MILLIONTH)
    assert claims_loss(pair, 40, 0).epsilon(Fraction(1, 100)) < 0.95 * loss.set_level(40, 0)


def test_both_directions_of_a_set_count():
    pair = TwoStage.parse("1,1/2,1,0").pair(1)  # who does not claim does not hold: with chance 1/2 that is known
    assert claims_loss(pair, 1, 0).epsilon(Fraction(51, 100)) < log(2) + 1e-3
    assert claims_loss(pair, 0, 1).epsilon(MILLIONTH) == claims_loss(pair, 1, 0).epsilon(MILLIONTH)
    assert claims_loss(pair, 0, 1).epsilon(Fraction(2, 5)) == inf


@pytest.mark.parametrize(("removed", "added"), [(1, 0), (1, 1), (2, 1), (1, 2)])
def test_composed_sets_equal_the_product_of_their_laws(removed, added):
    pair = TwoStage.parse("3/4,1/4,3/4,1/2").pair(3)
    ways = [(pair.held, pair.absent)] * removed + [(pair.absent, pair.held)] * added
    before, after = (tuple(prod(ws) for ws in product(*sides)) for sides in zip(*ways, strict=True))
    for delta in (Fraction(1, 10), Fraction(1, 1000)):
        exact = Pair(before, after).epsilon(delta)
        assert exact <= claims_loss(pair, removed, added).epsilon(delta) <= exact + 5e-4


def test_errors_add_up_over_rounds():
    law = DiscreteGaussian(Fraction(1, 2), 10).masses()
    once = noise_loss(law, 1)
    assert (once.cut, once.slack) == (law.cut, 4 * law.error)
    assert (once.times(7).cut, once.times(7).slack) == (7 * once.cut, 7 * once.slack)
    assert (once.then(once).cut, once.then(once).slack) == (2 * once.cut, 2 * once.slack)


def test_different_releases_compose():
    law = DiscreteGaussian(Fraction(200)).masses()
    both = noise_loss(law, 3).then(noise_loss(law, 4)).epsilon(MILLIONTH)
    assert noise_loss(law, 5).epsilon(MILLIONTH) == pytest.approx(both, abs=3e-3)  # 3^2 + 4^2 = 5^2, nearly a Gaussian


@pytest.mark.parametrize(
    ("call", "setting"),
    [
        (lambda: noise_loss(Skellam(Fraction(9)).masses(), 0), "shift"),
        (lambda: noise_loss(Skellam(Fraction(9)).masses(), 1).times(0), "rounds"),
        (lambda: noise_loss(Skellam(Fraction(9)).masses(), 1).epsilon(Fraction(1, 10**13)), "delta"),
        (lambda: claims_loss(TwoStage.parse("7/8").pair(1), 0, 0), "removed and added"),
    ],
)
def test_impossible_compositions_are_refused_by_name(call, setting):
    with pytest.raises(PrivacyError, match=setting):
        call()


LAZY = "import sys, dp, securefl; assert not {'dp_accounting', 'scipy', 'matplotlib'} & set(sys.modules)"
WITHOUT = """
import sys
sys.modules["dp_accounting"] = None
import dp
from fractions import Fraction
law = dp.Skellam(Fraction(9)).masses()
try:
    dp.noise_loss(law, 1)
except dp.PrivacyError as error:
    print(error)
"""


def test_the_accountant_is_loaded_when_it_is_used():
    subprocess.run([sys.executable, "-c", LAZY], check=True)  # noqa: S603 - our own text


def test_without_the_extra_one_sentence_says_what_to_install():
    run = subprocess.run([sys.executable, "-c", WITHOUT], check=True, capture_output=True, text=True)  # noqa: S603
    assert run.stdout.strip() == "composition needs dp-accounting; install the extra: pip install '.[accounting]'"
