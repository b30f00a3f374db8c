"""The attack on the sampler that ships, and on samplers that were broken on purpose: it must catch these."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from subjects import configured, figure, subject

import dp
from securefl.audit import audit
from securefl.audit.attacker import Guesses, attacker, guesses
from securefl.audit.empirical import ALPHA, attack, sampler
from securefl.datasets import load_click_log
from securefl.datasets.synthetic import synthetic_click_log

TRIALS = 20_000
SEVEN = dp.TwoStage.parse("7/8")


@pytest.mark.parametrize("odds", ["15/16", "7/8", "3/4", "3/4,1/4,3/4,1/2", "0.9,0.2,0.8,0.1", "union"])
@pytest.mark.parametrize("rounds", [1, 3])
def test_the_sampler_that_ships_reveals_no_more_than_its_formula(odds: str, rounds: int) -> None:
    how = dp.TwoStage.parse(odds)
    found = attack(how, rounds, trials=TRIALS, seed=7)
    exact = how.epsilon_rounds(rounds)
    assert 0 <= found.epsilon <= exact
    assert found.epsilon >= 0.7 * exact - 0.05  # and the attack is one: most of the truth is proved
    assert found.epsilon.kind == "lower"


def test_the_witness_names_event_counts_and_seed_and_the_seed_repeats_it() -> None:
    found = attack(SEVEN, 2, trials=TRIALS, seed=99)
    assert found == attack(SEVEN, 2, trials=TRIALS, seed=99)
    assert found.witness == f"{found.event}: {found.likely} against {found.unlikely} of 20000 trials, seed 99"
    assert attack(SEVEN, 1, trials=1000).seed != attack(SEVEN, 1, trials=1000).seed


def forgetful(how: dp.TwoStage, union: Any, held: Any, memo: dp.Memo, rng: dp.Rng) -> Any:
    """Draws permanent answers anew each round."""
    return dp.privatize(how, union, held, dp.InMemoryMemo(), rng)


def truthful(how: dp.TwoStage, union: Any, held: Any, memo: dp.Memo, rng: dp.Rng) -> Any:
    """Tells the truth in one of fifty answers."""
    honest = dp.bernoulli(Fraction(1, 50), len(union), rng)
    return np.where(honest, np.isin(union, held), dp.privatize(how, union, held, memo, rng))


def plain(how: dp.TwoStage, union: Any, held: Any, memo: dp.Memo, rng: dp.Rng) -> Any:
    """Leaves the second stage out."""
    return dp.privatize(dp.TwoStage(how.p1, how.p2, Fraction(1), Fraction(0)), union, held, memo, rng)


def rounded(how: dp.TwoStage, union: Any, held: Any, memo: dp.Memo, rng: dp.Rng) -> Any:
    """Takes p1 as 15/16 where 7/8 was agreed: a slip of one bit."""
    return dp.privatize(dp.TwoStage(Fraction(15, 16), how.p2, how.p3, how.p4), union, held, memo, rng)


@pytest.mark.parametrize(
    ("broken", "rounds"), [(forgetful, 5), (truthful, 1), (truthful, 5), (plain, 1), (rounded, 5), (rounded, 1)]
)
def test_a_broken_sampler_is_caught(broken: Callable[..., Any], rounds: int) -> None:
    trials = 10 * TRIALS if broken is truthful else 2 * TRIALS
    found = sampler(subject(rounds), trials=trials, seed=3, shipped=broken)
    assert found.verdict == "fail"
    assert "seed 3" in (found.value.witness or "")
    assert found.change


def test_the_finding_passes_for_what_ships() -> None:
    found = sampler(subject(2), trials=TRIALS, seed=5)
    assert found.verdict == "pass"
    assert figure(found, "epsilon by the formula") >= found.value.value
    assert figure(found, "chance that the bound is wrong") == float(ALPHA)


def test_odds_without_doubt_prove_much_and_are_not_called_broken() -> None:
    found = sampler(subject(1, privacy__response="none"), trials=TRIALS, seed=5)
    assert found.verdict == "pass"
    assert found.value.value > 7


def played(found: Guesses) -> None:
    assert abs(found.claims - found.bound) <= found.margin
    assert found.totals >= found.claims - found.margin


@pytest.mark.parametrize("odds", ["3/4", "7/8", "15/16", "none", "union"])
def test_a_server_guesses_from_claims_as_often_as_the_bound_says_and_better_from_totals(odds: str) -> None:
    found = guesses(synthetic_click_log("small"), 100, 10, dp.TwoStage.parse(odds), cohorts=1)
    played(found)
    if odds in ("3/4", "7/8"):
        assert found.totals > found.bound + found.margin
    if odds in ("none", "union"):
        assert found.claims == found.totals == found.bound == (1.0 if odds == "none" else 0.5)


def test_totals_of_rows_below_the_floor_say_nothing() -> None:
    """Nothing goes up, so the server is left with claims."""
    found = guesses(synthetic_click_log("small"), 50, 51, dp.TwoStage.parse("3/4"), cohorts=1)
    assert found.totals == found.claims


def test_the_finding_tells_that_totals_reveal_more() -> None:
    found = attacker(subject())
    assert found.verdict == "warn"
    assert found.value.value > figure(found, "the bound for claims alone") + 0.02


def test_empirical_findings_join_an_audit() -> None:
    found = audit(configured(cohort__clients=20), empirical=True, seed=1)
    assert [finding.id for finding in found.findings[-2:]] == ["sampler", "attacker"]
    assert set(found.curves["attacker"].y) == {"bound for claims", "from claims", "from claims and totals"}


@pytest.mark.slow
@pytest.mark.needs("data")
@pytest.mark.parametrize("file", ["amazon-electronics/amazon_train.npz", "ml-100k/ml100k.npz"])
def test_on_real_clicks_claims_keep_their_bound_at_every_preset(data_folder: Path, file: str) -> None:
    log = load_click_log(data_folder / file)
    for odds in ("3/4", "7/8", "15/16", "none", "union"):
        played(guesses(log, 100, 10, dp.TwoStage.parse(odds)))
