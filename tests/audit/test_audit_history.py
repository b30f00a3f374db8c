"""A run audited by its ledger: budget by index, lost memories, thin rows, cohorts that differ in a few."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from subjects import configured, figure, subject

import dp
from securefl.audit import audit
from securefl.audit.differencing import reduced, smallest_group
from securefl.audit.history import memory, noisy_sums, overlap, spent, tally, thin_rows
from securefl.config import override
from securefl.datasets import ClickLog
from securefl.datasets.synthetic import SyntheticPlan, synthetic_click_log
from securefl.engine import local
from securefl.errors import ConfigurationError
from securefl.federation.progress import Silent
from securefl.store import Disclosure, Rows, SqliteDisclosures

SEVEN = dp.TwoStage.parse("7/8")
LOG = synthetic_click_log(SyntheticPlan(users=30, items=600, categories=20, clicks=10, exponent=1.0, favourites=3))


def indices(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def told(number: int, *, claimed: dict[str, str], union: np.ndarray, survivors: str = "", **rest: object) -> Disclosure:
    cohort = tuple(sorted({*claimed, *survivors}))
    return Disclosure(number, bool(survivors), cohort, claimed, union, tuple(survivors), **rest)  # type: ignore[arg-type]


def test_budget_is_counted_by_index_and_client() -> None:
    rounds = [
        told(1, claimed={"a": "m", "b": "m"}, union=indices(1, 2), survivors="ab"),
        told(2, claimed={"a": "m"}, union=indices(2, 3), survivors="a"),
    ]
    assert tally(rounds) == {(0, 1): 4, (0, 2): 1}  # a: 1, 3 once and 2 twice; b: 1, 2 once
    found = spent(subject(privacy__response="7/8"), rounds)
    assert found.value.value == pytest.approx(SEVEN.epsilon_rounds(2))
    assert figure(found, "claims of the busiest client") == 2


def test_d6_an_aborted_round_that_had_sent_its_claim_is_charged() -> None:
    """Nothing opened in either round; both claims count."""
    rounds = [told(r, claimed={"a": "m"}, union=indices(7)) for r in (1, 2)]
    found = spent(subject(), rounds)
    assert found.value.value == pytest.approx(SEVEN.epsilon_rounds(2))
    assert figure(found, "rounds whose claims were spent for nothing") == 2


def test_d6_a_lost_memo_is_detected_and_charged() -> None:
    rounds = [
        told(1, claimed={"a": "old", "b": "m"}, union=indices(1, 2), survivors="ab"),
        told(2, claimed={"a": "new", "b": "m"}, union=indices(2, 9), survivors="ab"),
    ]
    assert tally(rounds) == {(0, 1): 4, (1, 1): 1, (0, 2): 1}
    found = memory(subject(), rounds)
    assert (found.verdict, found.value.value) == ("warn", 1)
    assert "1 of 2 clients" in found.says
    cost = spent(subject(), rounds).value
    assert cost.value == pytest.approx(SEVEN.epsilon_ever() + SEVEN.epsilon_round())
    assert cost.kind == "upper"
    kept = [told(r, claimed={"a": "m"}, union=indices(1, 2), survivors="a") for r in (1, 2)]
    assert memory(subject(), kept).verdict == "pass"


MEMOS = st.lists(st.tuples(st.sampled_from("mn"), st.lists(st.integers(0, 4), min_size=1, unique=True)), max_size=6)


@given(sent=MEMOS)
def test_histories_are_those_of_a_client_that_keeps_its_own_ledger(sent: list[tuple[str, list[int]]]) -> None:
    """The ledger of `dp`, told for each claim what the memo of the round recalls, ends with the same tally."""
    rounds = [told(r, claimed={"a": memo}, union=indices(*sorted(own))) for r, (memo, own) in enumerate(sent)]
    ledger, latest = dp.InMemoryLedger(dp.Budget(SEVEN)), dict[int, str]()
    for memo, own in sent:
        asked = sorted(own)
        ledger.charge_claim(indices(*asked), np.array([latest.get(index) == memo for index in asked], np.bool_))
        latest |= dict.fromkeys(asked, memo)
    spending = ledger.spent()
    counted = dp.Budget(SEVEN).spending(len(sent), tally(rounds), ())
    assert (counted.index, counted.lost) == (pytest.approx(spending.index), spending.lost)


def opened(claimants: list[int], counts: list[int], contributors: list[int] | None) -> list[Disclosure]:
    own = None if contributors is None else indices(*contributors)
    rows = Rows(np.arange(len(claimants)), indices(*claimants), indices(*counts), own)
    return [
        told(1, claimed=dict.fromkeys("ab", "m"), union=indices(1), survivors="ab", left_out=4, rows={"items": rows})
    ]


def test_d1_rows_left_out_are_counted_in_the_report() -> None:
    found = thin_rows(subject(), opened([20, 30], [3, 4], [2, 3]))
    assert figure(found, "claimed rows left out") == 4
    assert found.verdict == "pass"


def test_rows_that_fell_to_few_claimants_are_told() -> None:
    """m + c = 10 are wanted; with 5 colluders a sum over 6 is one honest client's."""
    assert thin_rows(subject(), opened([20, 9], [3, 4], [2, 2])).verdict == "warn"
    found = thin_rows(subject(), opened([20, 6], [3, 4], [2, 2]))
    assert found.verdict == "fail"
    assert figure(found, "row sums with one honest claimant") == 1
    assert figure(found, "fewest claimants in one") == 6


def test_d5_a_weight_sum_of_zero_says_that_all_were_fillers() -> None:
    found = thin_rows(subject(), opened([20, 20], [0, 4], [0, 2]))
    assert figure(found, "counts of 0") == 1
    assert "1 counts are 0: every claimant of those was a filler" in found.says


def test_d10_sums_that_are_one_clients_update_are_counted_where_a_simulation_knows() -> None:
    found = thin_rows(subject(), opened([20, 20, 20, 20], [3, 4, 1, 0], [1, 2, 1, 0]))
    assert figure(found, "sums that are one client's update") == 0.5
    assert "its count says so to it" in found.says
    unknown = thin_rows(subject(), opened([20, 20], [3, 4], None))
    assert "one client's update" not in unknown.says
    assert unknown.verdict == "pass"


def cohorts(*names: str) -> list[Disclosure]:
    return [told(r, claimed=dict.fromkeys(own, "m"), union=indices(1), survivors=own) for r, own in enumerate(names)]


EVERYBODY = "abcdefghijklmnopqrst"


def test_a16_two_cohorts_that_differ_in_one_client_fail() -> None:
    found = overlap(subject(), cohorts(EVERYBODY, EVERYBODY[1:]))
    assert (found.verdict, found.value.value) == ("fail", 1)
    assert found.change


def test_a16_cohorts_that_differ_in_many_pass_and_in_some_warn() -> None:
    assert overlap(subject(), cohorts(EVERYBODY[:12], EVERYBODY[8:])).verdict == "pass"
    assert overlap(subject(), cohorts(EVERYBODY, EVERYBODY[8:])).verdict == "warn"  # 8 differ, of whom 5 may collude
    assert overlap(subject(), cohorts(EVERYBODY)).verdict == "pass"
    assert overlap(subject(), cohorts(EVERYBODY, EVERYBODY)).verdict == "pass"
    assert overlap(subject(), cohorts("")).value.value == 0


def test_a16_three_rounds_can_single_out_whom_no_two_do() -> None:
    """ab + bc - ac = 2 b."""
    group, how = smallest_group([frozenset("ab"), frozenset("bc"), frozenset("ac")])
    assert len(group) == 1
    assert how == "several together"


@settings(max_examples=60)
@given(st.lists(st.sets(st.sampled_from("abcde"), min_size=1), min_size=1, max_size=4))
def test_a16_a_client_alone_is_found_exactly_if_a_combination_gives_it(rounds: list[set[str]]) -> None:
    """Against rank over the rationals: e_i is in the span of the rows iff adding it does not raise their rank."""
    names = sorted(set().union(*rounds))
    rows = np.array([[name in own for name in names] for own in rounds], np.int64)
    rank = np.linalg.matrix_rank(rows)
    alone = [i for i in range(len(names)) if np.linalg.matrix_rank(np.vstack([rows, np.eye(len(names))[i]])) == rank]
    group, _ = smallest_group([frozenset(own) for own in rounds])
    assert (len(group) == 1) == bool(alone)
    assert len(reduced(rows)) == rank


@settings(max_examples=30)
@given(st.lists(st.sets(st.sampled_from("abcde"), min_size=1), min_size=1, max_size=3))
def test_a16_the_group_is_never_smaller_than_any_combination_gives(rounds: list[set[str]]) -> None:
    names = sorted(set().union(*rounds))
    rows = np.array([[name in own for name in names] for own in rounds], np.int64)
    mixtures = [np.array(mix) @ rows for mix in product((-2, -1, 0, 1, 2), repeat=len(rows))]
    smallest = min(int((mixed != 0).sum()) for mixed in mixtures if mixed.any())
    group, _ = smallest_group([frozenset(own) for own in rounds])
    pairs = [len(a ^ b) for a, b in combinations(map(frozenset, rounds), 2) if a != b]
    assert smallest <= len(group) <= min([*pairs, *map(len, rounds)])


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteDisclosures]:
    with SqliteDisclosures(tmp_path / "run.db") as disclosures:
        yield disclosures


def run(ledger: SqliteDisclosures, log: ClickLog = LOG, **settings: object) -> None:
    config = override(
        configured(
            cohort__clients=8, cohort__rounds=1, secagg__kem="x25519", privacy__honest_claimants=1, training__dim=2
        ),
        {name.replace("__", "."): value for name, value in settings.items()},
    )
    local.run(config, log, Silent(), disclosures=ledger)


@pytest.mark.parametrize("setting", ["semi_honest", "malicious"])
def test_a_run_leaves_what_its_audit_needs(ledger: SqliteDisclosures, setting: str) -> None:
    run(ledger, secagg__setting=setting, cohort__rounds=2, cohort__dropout=0.1, secagg__threshold=5)
    (one,) = ledger.runs()
    assert (one.number, one.private, one.settings["cohort"]["clients"]) == (1, False, 8)
    for told in ledger:
        assert len(told.cohort) == 8
        assert set(told.survivors) <= set(told.claimed) <= set(told.cohort)
        assert told.union.size > 0
        assert (np.diff(told.union) > 0).all()
        for rows in told.rows.values():
            assert rows.contributors is not None
            assert (rows.contributors <= rows.claimants).all()
            assert (rows.claimants <= len(told.survivors)).all()
            assert ((rows.counts > 0) == (rows.contributors > 0)).all()
    found = audit(configured(cohort__clients=8), ledger=ledger)
    assert [finding.id for finding in found.findings[-4:]] == ["spent", "memory", "thin-rows", "overlap"]
    assert found.finding("memory").verdict == "pass"


FEW = synthetic_click_log(SyntheticPlan(users=8, items=600, categories=20, clicks=10, exponent=1.0, favourites=3))
"""As many users as a cohort has: what differs from round to round is who was lost."""


def test_a16_d1_a_run_whose_rounds_lose_one_client_each_and_that_has_no_floor_fails_for_both(
    ledger: SqliteDisclosures,
) -> None:
    """The sums of two rounds differ in one client; rows of one claimant open by themselves."""
    run(ledger, FEW, cohort__rounds=3, cohort__dropout=0.1, cohort__seed=0, secagg__threshold=4)
    sizes = [len(told.survivors) for told in ledger]
    found = audit(configured(cohort__clients=8, secagg__threshold=4, privacy__honest_claimants=1), ledger=ledger)
    assert sorted(sizes) == [7, 7, 8]
    assert (found.finding("overlap").verdict, found.finding("overlap").value.value) == ("fail", 1)
    assert found.finding("overlap").change
    alone = sum(int((rows.claimants == 1).sum()) for told in ledger for rows in told.rows.values())
    thin = found.finding("thin-rows")
    assert (thin.verdict, thin.value.name) == ("fail", "row sums with one honest claimant at most")
    assert thin.value.value == alone > 0
    claims = Counter(name for told in ledger for name in told.claimed)
    busiest = max(claims.values())
    assert found.finding("spent").value.value == pytest.approx(SEVEN.epsilon_rounds(busiest))


def test_d6_a_second_run_on_a_ledger_has_lost_the_memos_of_the_first(ledger: SqliteDisclosures) -> None:
    for _ in range(2):
        run(ledger, cohort__dropout=0.0, secagg__threshold=4)
    found = audit(configured(cohort__clients=8), ledger=ledger)
    assert found.finding("memory").verdict == "warn"
    assert figure(found.finding("memory"), "permanent answers given a second") > 20
    assert found.finding("spent").value.value == pytest.approx(SEVEN.epsilon_ever() + SEVEN.epsilon_round())


def test_d6_claims_of_a_run_that_finishes_nothing_are_charged(ledger: SqliteDisclosures) -> None:
    """Nobody may be lost, somebody is: some rounds end after claims were sent."""
    run(ledger, cohort__dropout=0.2, secagg__threshold=6, cohort__seed=12)
    unfinished = [told for told in ledger if not told.finished and told.claimed]
    assert unfinished
    found = spent(subject(cohort__clients=8), list(ledger))
    assert figure(found, "rounds whose claims were spent for nothing") == len(unfinished)


def test_a_ledger_of_other_odds_and_one_without_rounds_are_refused(ledger: SqliteDisclosures) -> None:
    with pytest.raises(ConfigurationError, match="--ledger: no round is recorded"):
        audit(configured(), ledger=ledger)
    run(ledger)
    with pytest.raises(ConfigurationError, match=r"run 1 claimed with 7/8, and privacy\.response is 3/4"):
        audit(configured(privacy__response="3/4", cohort__clients=8), ledger=ledger)


RELEASE = "skellam 40000 moved 200 400 4 rounds 1"


def test_sums_with_noise_are_charged_to_the_client_in_most_of_them() -> None:
    rounds = [
        told(1, claimed={"a": "m", "b": "m"}, union=indices(1), survivors="ab", release=RELEASE),
        told(2, claimed={"a": "m"}, union=indices(1), survivors="a", release=RELEASE),
        told(3, claimed={"b": "m", "c": "m"}, union=indices(1)),
    ]
    found = noisy_sums(subject(privacy__delta=1e-5), rounds)
    twice = dp.Release.parse(RELEASE.replace("rounds 1", "rounds 2"))
    assert found.value.value == pytest.approx(float(twice.renyi(Fraction(1, 10**5))), rel=1e-9)
    assert figure(found, "sums that the busiest client is in") == 2
    assert found.verdict == "pass"
    mixed = noisy_sums(subject(), [*rounds, told(4, claimed={"a": "m"}, union=indices(1), survivors="a")])
    assert mixed.value.value == float("inf")
    assert mixed.verdict == "warn"
    assert "1 exact ones have no bound" in mixed.says


def test_a_run_with_noise_leaves_its_releases_in_the_ledger_and_none_without(tmp_path: Path) -> None:
    base = {
        "cohort.clients": 10, "cohort.rounds": 2, "cohort.dropout": 0.0, "secagg.kem": "x25519", "secagg.colluders": 0,
        "privacy.honest_claimants": 1, "privacy.response": "3/4", "training.model": "logistic",
        "training.quantization_bits": 10,
    }  # fmt: skip
    for multiplier in (2.0, 0.0):
        config = override(configured(), base | {"privacy.noise_multiplier": multiplier})
        with SqliteDisclosures(tmp_path / f"{multiplier}.db") as ledger:
            summary = local.run(config, LOG, Silent(), disclosures=ledger)
            released = {disclosure.release for disclosure in ledger}
            found = {finding.id: finding for finding in audit(config, ledger=ledger).findings}
        spent = [record.epsilon_sums_spent for record in summary.per_round]
        if multiplier:
            (text,) = released
            assert dp.Release.parse(text).noise == dp.Skellam(Fraction(config.noise_variance))
            assert (
                0
                < spent[0]
                < spent[1]
                <= float(dp.Release.parse(text.replace("rounds 1", "rounds 2")).renyi(Fraction(1, 10**6)))
            )
            assert 0 < found["noisy-sums"].value.value <= found["central-noise"].value.value < float("inf")
            assert "; sums: " in audit(config).headline
        else:
            assert released == {""}
            assert spent == [None, None]
            assert "noisy-sums" not in found
