"""Known answers: every number that was computed and checked by an independent method, as the audit tells it."""

from __future__ import annotations

import json
from fractions import Fraction
from math import isqrt, log
from pathlib import Path

import pytest
from subjects import configured, figure, subject

import dp
from psu import UnionPlan
from securefl.audit import arithmetic, claims, collusion, rows, sources, union
from securefl.audit.curves import curves
from securefl.audit.subject import Subject

RAPPOR = "3/4,1/4,3/4,1/2"
DEGREES = Path(__file__).parents[1] / "secagg" / "degree_threshold.json"


@pytest.mark.parametrize(
    ("odds", "one", "two", "five", "ten", "ever"),
    [
        ("15/16", 2.019338, 2.643808, 2.708031, 2.708050, log(15)),
        ("7/8", 1.272966, 1.815290, 1.945502, 1.945910, log(7)),
        ("3/4", 0.510826, 0.847298, 1.087713, 1.098567, log(3)),
        (RAPPOR, 0.336472, 0.619039, 1.019363, 1.096012, log(3)),
        ("0.9,0.2,0.8,0.1", 1.112406, 1.723987, 2.074712, 2.079439, 2.079442),
    ],
)
def test_two_stage_response(odds: str, one: float, two: float, five: float, ten: float, ever: float) -> None:
    for rounds, epsilon in ((1, one), (2, two), (5, five), (10, ten)):
        planned = subject(rounds, privacy__response=odds)
        response, budget = claims.response(planned), claims.budget(planned)
        assert figure(response, "epsilon of an index, this round") == pytest.approx(one, abs=6e-7)
        assert figure(response, "epsilon of an index, ever") == pytest.approx(ever, abs=6e-7)
        assert figure(budget, "epsilon of an index after") == pytest.approx(epsilon, abs=6e-7)
        assert figure(budget, f"{rounds} rounds without memory") == pytest.approx(rounds * one, abs=1e-5)


def test_memoised_claims_may_exceed_a_multiple_of_one_claim() -> None:
    """Two claims of these odds reveal more than five times what one does: composition is no cap."""
    found = claims.budget(subject(2, privacy__response="0.99,0.98,0.86,0.03"))
    assert figure(found, "epsilon of an index after") == pytest.approx(0.277443, abs=6e-7)
    assert figure(found, "2 rounds without") == pytest.approx(2 * 0.054458, abs=2e-6)


def test_sets() -> None:
    swapped = claims.response(subject(privacy__response="0.9,0.2,0.8,0.1"))
    assert figure(swapped, "epsilon of one index exchanged") == pytest.approx(2.147302, abs=6e-7)
    how = dp.TwoStage.parse(RAPPOR)
    assert how.loss_rounds(1).set_level(2, 2) == pytest.approx(1.074286, abs=6e-7)
    assert how.loss_ever().set_level(2, 2) == pytest.approx(4.394449, abs=6e-7)
    bits = dp.TwoStage(Fraction(21, 40), Fraction(19, 40), Fraction(1), Fraction(0))  # OpenDP, f = 0.95
    assert bits.loss_ever().set_level(4, 4) == pytest.approx(0.80066766845586, abs=1e-13)


def test_a_set_of_fifty() -> None:
    """a set of 50: 97.3"""
    assert f"{dp.TwoStage.parse('7/8').loss_ever().set_level(50, 0):.1f}" == "97.3"


@pytest.mark.parametrize(
    ("odds", "rounds", "epsilon", "delta"),
    [("7/8", 1, 0.5, 0.4205922220), ("3/4", 5, 1.0, 0.01662007993), (RAPPOR, 5, 1.0, 4.541347666e-4)],
)
def test_delta_over_epsilon(odds: str, rounds: int, epsilon: float, delta: float) -> None:
    """The curve falls, and passes by the known point."""
    curve = curves(subject(rounds, privacy__response=odds))["delta_epsilon"]
    drawn = curve.y[f"{rounds} rounds" if rounds > 1 else "1 round"]
    above = [y for x, y in zip(curve.x, drawn, strict=True) if x <= epsilon]
    below = [y for x, y in zip(curve.x, drawn, strict=True) if x >= epsilon and y]
    assert min(filter(None, above)) >= delta >= max(below)
    assert dp.TwoStage.parse(odds).delta_rounds(rounds, epsilon) == pytest.approx(delta, rel=1e-9)


def test_lost_memory_is_two_answers() -> None:
    """By enumeration: every moment of the loss, every pair of outcomes of the two parts."""
    how = dp.TwoStage.parse("0.9,0.2,0.8,0.1")
    for rounds in (2, 3, 5):
        worst = max(
            sum(getattr(how.loss_rounds(r), side) for r in (a, rounds - a))
            for a in range(1, rounds)
            for side in ("e10", "e01")
        )
        assert claims.lost_epsilon(how, rounds) == pytest.approx(max(worst, how.epsilon_rounds(rounds)), rel=1e-12)
    assert claims.lost_epsilon(how, 1) == pytest.approx(how.epsilon_round(), rel=1e-12)
    assert claims.lost_epsilon(how, 10_000) == pytest.approx(2 * how.epsilon_ever(), rel=1e-9)


def whole(n: int, gamma: float) -> bool:
    """A cohort that a configuration can name: not too large, and its share of corrupt clients is a number of them."""
    return n <= 4096 and abs(gamma * n - round(gamma * n)) < 1e-9


ROWS = [row for row in json.loads(DEGREES.read_text()) if whole(*row[:2]) and row[3] != "none"]


@pytest.mark.parametrize(("n", "gamma", "delta", "model", "k", "t"), ROWS)
def test_graph_smallest_safe_degree_and_threshold(
    n: int, gamma: float, delta: float, model: str, k: int, t: int
) -> None:
    """Every row that a cohort of whole clients can say, as the finding tells it."""
    config = configured(
        cohort__clients=n,
        cohort__dropout=delta,
        secagg__colluders=round(gamma * n),
        secagg__setting="malicious" if model == "semi_malicious" else "semi_honest",
    )
    found = collusion.graph(Subject(config, subject().population, 1))
    assert (figure(found, "smallest safe degree"), figure(found, "its smallest")) == (k, t)


def test_ring() -> None:
    """2^32 with q = 22 carries 1024 clients."""
    config = {"training__quantization_bits": 22, "training__weight_max": 1, "secagg__ring_bits": 32}
    assert figure(arithmetic.ring(subject(**config)), "largest cohort") == 1024
    assert figure(arithmetic.ring(subject(**config)), "bits needed") == (100 * (2**22 - 1)).bit_length()


@pytest.mark.parametrize(("rate", "probability"), [(0.2, 7.3688e-4), (0.3, 0.22074)])
def test_dropout(rate: float, probability: float) -> None:
    """n = 100, 67 must stay."""
    found = collusion.dropout(subject(cohort__dropout=rate, secagg__threshold=66))
    assert found.value.value == pytest.approx(probability, rel=1e-4)
    assert found.verdict == ("pass" if rate == 0.2 else "fail")


def test_a_complete_graph_guarantees_honest_inputs() -> None:
    """t - c + 1."""
    assert collusion.cohort(subject(secagg__threshold=67, secagg__colluders=5)).value.value == 63


@pytest.mark.parametrize(
    ("cells", "hashes", "keys", "exact", "usual"),
    [(64, 2, 10, 0.073446441, 0.072030171), (1024, 7, 100, 7.36625783e-3, None)],
)
def test_bloom(cells: int, hashes: int, keys: int, exact: float, usual: float | None) -> None:
    one = subject()
    one.__dict__["union_plan"] = UnionPlan("filter", 20_000, keys, 100, cells, 16, hashes)
    found = union.union_plan(one)
    assert figure(found, "exact false-positive rate") == pytest.approx(exact, rel=1e-8)
    if usual:
        assert figure(found, "false-positive rate by the usual") == pytest.approx(usual, rel=1e-7)


def test_the_download_of_a_million_counts_its_false_indices() -> None:
    """1000 of 10^6 in the union and 1 % false positives: 10,027 false indices by the usual formula, truly more."""
    one = subject()
    one.__dict__["union_plan"] = UnionPlan("filter", 10**6, 1000, 100, 9586, 16, 7)
    found = union.union_plan(one)
    assert pytest.approx(10_027, abs=0.5) == (10**6 - 1000) * (1 - (1 - 1 / 9586) ** 7000) ** 7
    assert found.value.value == pytest.approx(10_033.54, abs=0.01)
    assert found.verdict == "warn"
    assert "10,034 false ones" in found.says


def test_central_noise_counts_the_shares_that_are_sure() -> None:
    found = sources.central_noise(subject(secagg__threshold=67, secagg__colluders=5))
    assert figure(found, "noise shares sure") == dp.sure_shares(67, 5) == 63
    assert figure(found, "epsilon of the totals") == float("inf")


def test_sums_with_noise_have_the_epsilon_of_their_release() -> None:
    """Ball of 20470 steps: any update replaced by any other in each of ten rounds."""
    noise = {"privacy__noise_multiplier": 3.0, "training__quantization_bits": 12, "cohort__dropout": 0.05}
    one = subject(10, **noise, privacy__delta=1e-5)
    found = sources.central_noise(one)
    numbers = one.model.dense_size + sum(table.rows * table.width for table in one.model.tables)
    radius = 20470
    moved = dp.Sensitivity(Fraction(2 * radius * (isqrt(numbers) + 1)), Fraction(2 * radius) ** 2, numbers)
    release = dp.Release(dp.Skellam(Fraction((3 * radius) ** 2)), moved, 10)
    assert figure(found, "epsilon of the sums") == float(release.renyi(Fraction(1, 10**5)))
    assert figure(found, "deviation of the noise") == 3 * radius
    assert figure(found, "noise shares sure to be in a row") == one.config.privacy.honest_claimants
    assert figure(found, "noise shares sure to be in a sum") == one.config.min_survivors - one.config.colluders
    assert figure(found, "L2 sensitivity") == 2 * radius
    assert found.verdict == "warn"
    assert sources.central_noise(subject(1, **noise | {"privacy__noise_multiplier": 6.0})).verdict == "pass"


@pytest.mark.parametrize(
    ("law", "shift", "exact", "bound"),
    [
        (dp.Skellam(Fraction(25)), 1, 0.775700, 0.921139),
        (dp.Skellam(Fraction(100)), 10, 4.737543, 5.251429),
        (dp.DiscreteGaussian(Fraction(1, 2), 10), 1, 2.009565, 2.699293),
        (dp.DiscreteGaussian(Fraction(1), 100), 10, 4.885739, 5.225715),
    ],
)
def test_central_noise_that_a_run_would_need(law: object, shift: int, exact: float, bound: float) -> None:
    """Exact, and by the published bound, at delta 10^-6."""
    released = dp.Release(law, dp.Sensitivity.scalar(shift))  # type: ignore[arg-type]  # one of the two laws
    assert released.exact(Fraction(1, 10**6)) == pytest.approx(exact, abs=2e-6)
    assert exact <= released.renyi(Fraction(1, 10**6)) <= bound + 1e-4


def test_rows() -> None:
    """K q1 (1 - q1)^(K - 1); K q1 / (K q1 + (n - K) q0)."""
    found = rows.row_anonymity(subject())
    assert figure(found, "one holder: the sum is its update") == 25 / 32
    assert figure(found, "one holder: a claimant is it") == pytest.approx((25 / 32) / (25 / 32 + 99 * 7 / 32))
    assert figure(found, "claimants of a row with one holder") == 25 / 32 + 99 * 7 / 32


def test_posterior_of_a_guess() -> None:
    found = claims.response(subject(1, privacy__response="7/8"))
    assert figure(found, "attacker's guess rate, this round") == 25 / 32
