"""What passes, what warns, what fails, for the right reasons, and that following the advice helps."""

from __future__ import annotations

import re
from collections.abc import Callable
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from subjects import configured, figure, subject

from securefl.audit import Audit, Finding, arithmetic, audit, claims, collusion, rows, sources, union
from securefl.config import abort_probability, override, validate
from securefl.errors import ConfigurationError

Audited = Callable[[str], Audit]


def test_the_papers_own_settings_fail_for_the_right_reasons(audited: Audited) -> None:
    """No row floor is what fails them; the rest they knew or could not know is told as warnings."""
    paper = audited("paper")
    verdicts = {finding.id: finding.verdict for finding in paper.findings}
    assert (paper.verdict, paper.exit_code) == ("fail", 5)
    assert {name for name, verdict in verdicts.items() if verdict == "fail"} == {"row-anonymity"}
    assert {name for name, verdict in verdicts.items() if verdict == "warn"} == {
        "union-leakage",
        "central-noise",
        "threshold",  # nobody is assumed to collude
        "randomness",  # the preset is a simulation
        "key-exchange",  # classical Diffie-Hellman
    }
    rows_found = paper.finding("row-anonymity")
    assert rows_found.value.value == 1
    assert "honest_claimants" in rows_found.change[0]
    assert 0.6 < figure(rows_found, "a row's sum is one client's update") < 0.77  # as the paper's rows are: 60 to 77 %


@pytest.mark.parametrize("name", ["small", "taobao"])
def test_our_presets_warn_of_what_they_do_not_protect(audited: Audited, name: str) -> None:
    found = audited(name)
    assert found.exit_code == 4
    warned = {finding.id for finding in found.findings if finding.verdict == "warn"}
    assert {"union-leakage", "central-noise", "row-anonymity", "randomness"} == warned


def test_aggregates_without_noise_have_no_finite_epsilon(audited: Audited) -> None:
    for name in ("small", "paper"):
        noise = audited(name).finding("central-noise")
        assert noise.value.value == inf
        assert noise.value.witness == (
            "a total that two neighbouring inputs do not share: probability 1 under one, 0 under the other"
        )
        assert noise.verdict == "warn"


def test_the_union_has_no_finite_epsilon_for_a_lone_holder_and_a_finite_one_given_the_union(audited: Audited) -> None:
    found = audited("small").finding("union-leakage")
    assert found.value.value == inf
    assert "1 if that client holds it, 0 if it does not" in (found.value.witness or "")
    assert figure(found, "epsilon given the union") == pytest.approx(1.272966, abs=6e-7)


@pytest.mark.parametrize(
    ("settings", "event"),
    [("none", "claimed in 1 of 1 rounds"), ("0.9,0,0.9,0", "claimed in 1 of 1 rounds"), ("1,0.5,1,0.5", "0 of 1")],
)
def test_odds_that_prove_what_is_held_fail_and_name_the_outcome(settings: str, event: str) -> None:
    found = claims.response(subject(privacy__response=settings))
    assert found.verdict == "fail"
    assert figure(found, "epsilon of an index, this round") == inf
    (now,) = [f for f in found.figures if f.name.endswith("an index, this round")]
    assert event in (now.witness or "")
    assert rows.peers(subject(privacy__response=settings)).verdict == "fail"


@pytest.mark.parametrize(
    ("setting", "t", "c", "verdict"),
    [
        ("semi_honest", 6, 5, "pass"),
        ("semi_honest", 5, 5, "fail"),
        ("semi_honest", 51, 0, "warn"),
        ("malicious", 53, 5, "pass"),
        ("malicious", 52, 5, "fail"),
        ("semi_honest", 99, 99, "fail"),
    ],
)
def test_threshold_against_collusion(setting: str, t: int, c: int, verdict: str) -> None:
    one = subject(secagg__setting=setting, secagg__threshold=t, secagg__colluders=c)
    found = collusion.threshold(one)
    assert found.verdict == verdict
    least = re.search(r"secagg.threshold: use (\d+) to", " ".join(found.change))
    if least:
        better = subject(secagg__setting=setting, secagg__threshold=int(least[1]), secagg__colluders=c)
        assert collusion.threshold(better).verdict == "pass"
        worse = subject(secagg__setting=setting, secagg__threshold=int(least[1]) - 1, secagg__colluders=c)
        assert collusion.threshold(worse).verdict == "fail"


@given(n=st.integers(3, 128), t=st.integers(2, 127), c=st.integers(0, 127))
def test_colluders_held_off_are_those_the_threshold_bears(n: int, t: int, c: int) -> None:
    """In both settings the number told is the largest for which the same threshold would pass."""
    t, c = min(t, n - 1), min(c, n - 1)
    for setting in ("semi_honest", "malicious"):
        one = subject(cohort__clients=20, secagg__setting=setting)
        config = configured(cohort__clients=n, secagg__setting=setting, secagg__threshold=t, secagg__colluders=c)
        held = int(collusion.threshold(type(one)(config, one.population, 1)).value.value)
        least = [(n - 1 + a) // 2 + 1 if setting == "malicious" else a + 1 for a in range(n)]
        assert held == max([a for a in range(n) if least[a] <= t], default=0)


@pytest.mark.parametrize(("colluders", "verdict"), [(3, "fail"), (5, "fail"), (2, "warn")])
def test_d2_noise_of_which_every_share_may_be_a_colluders_bounds_nothing(colluders: int, verdict: str) -> None:
    """3 of 8 clients open a sum."""
    one = subject(
        cohort__clients=8, secagg__threshold=2, secagg__min_survivors=3, secagg__colluders=colluders,
        privacy__noise_multiplier=1.0,
    )  # fmt: skip
    found = sources.central_noise(one)
    assert found.verdict == verdict
    assert (found.value.value == inf) == (verdict == "fail")
    assert figure(found, "noise shares sure to be in a sum") == max(0, 3 - colluders)


def test_noise_of_more_clients_than_can_be_reckoned_with_is_refused_and_the_advice_is_one() -> None:
    """Shares of 400 clients, sized for 2 that are sure."""
    wide = {
        "cohort__clients": 400, "privacy__honest_claimants": 2, "privacy__noise_multiplier": 0.5,
        "privacy__clip_radius": 0.5, "training__scale": 0.002, "training__quantization_bits": 10,
    }  # fmt: skip
    with pytest.raises(ConfigurationError, match="too wide to be drawn; use") as caught:
        audit(configured(**wide))
    bits = int(str(caught.value).rpartition("=")[2])
    audit(configured(**wide | {"training__quantization_bits": bits}))


@pytest.mark.parametrize("clients", [3, 4, 10])
def test_d2_everyone_but_one_colluding_fails(clients: int) -> None:
    """A sum of one honest input is that input."""
    one = subject(cohort__clients=clients, secagg__colluders=clients - 1)
    assert collusion.cohort(one).verdict == "fail"
    assert collusion.threshold(one).verdict == "fail"
    assert union.union_leakage(one).verdict == "fail"


@pytest.mark.parametrize("clients", [1, 2])
def test_d2_a_cohort_of_one_or_two_is_refused(clients: int) -> None:
    with pytest.raises(ConfigurationError, match="use a whole number of at least 3"):
        configured(cohort__clients=clients)


def test_d2_a_cohort_that_losses_leave_nearly_alone_is_told() -> None:
    thin = collusion.cohort(subject(cohort__clients=10, secagg__threshold=3, secagg__colluders=2))
    assert (thin.verdict, thin.value.value) == ("warn", 2)


def test_d1_a_floor_that_no_row_reaches_fails_as_a_run_refuses_it() -> None:
    one = subject(cohort__clients=8, privacy__honest_claimants=20)
    found = rows.row_anonymity(one)
    assert (found.verdict, found.value.name, found.value.value) == ("fail", "share of the union's rows that go up", 0)
    assert found.says == "No row goes up: none reaches 20 claimants of 8 clients."
    assert found.change[0].startswith("privacy.honest_claimants: lower it")
    with pytest.raises(ConfigurationError, match="make a row floor of 20, which 8 clients never reach"):
        validate(one.config)


def test_d1_the_row_floor_of_a_lying_server_counts_claimants_it_could_invent() -> None:
    honest, lying = (
        rows.row_anonymity(subject(secagg__setting=setting, secagg__min_survivors=90))
        for setting in ("semi_honest", "malicious")
    )
    assert figure(honest, "row floor with nobody lost") == 10
    assert figure(lying, "row floor with nobody lost") == 20
    assert figure(lying, "share of the union's rows") < figure(honest, "share of the union's rows")
    assert lying.value.value == honest.value.value == 5


def test_d1_rows_that_nothing_lets_up_are_told() -> None:
    found = rows.row_anonymity(subject(privacy__honest_claimants=40))
    assert found.verdict == "warn"
    assert any("few rows go up" in line for line in found.change)


def test_d10_what_a_count_tells_the_only_contributor_is_in_the_report() -> None:
    """With one holder the row's count is that client's own, with probability q1: the others were fillers."""
    found = rows.row_anonymity(subject())
    assert "A count equal to a client's own tells it that all others were fillers" in found.says
    assert figure(found, "one holder: the sum is its update") == 25 / 32


def test_losses_after_the_upload_are_counted() -> None:
    few, many = (
        figure(rows.row_anonymity(subject(cohort__dropout=rate)), "losses leave a row") for rate in (0.02, 0.3)
    )
    assert 0 < few < many < 1
    assert figure(rows.row_anonymity(subject(cohort__dropout=0.0)), "losses leave a row") == 0


@pytest.mark.parametrize(
    ("degree", "clients", "verdict"), [(None, 100, "pass"), (30, 100, "fail"), (None, 129, "fail")]
)
def test_graph(degree: int | None, clients: int, verdict: str) -> None:
    found = collusion.graph(subject(cohort__clients=clients, secagg__degree=degree))
    assert found.verdict == verdict


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({"secagg__threshold": 80}, "secagg.threshold: lower it, to 6 at least"),
        ({"secagg__threshold": 90, "secagg__colluders": 0}, "secagg.threshold: lower it, to 2 at least"),
        ({"secagg__threshold": 60, "secagg__min_survivors": 85}, "secagg.min_survivors: lower it, to 61 at least"),
        ({"secagg__threshold": 6, "cohort__dropout": 0.99}, "cohort.clients: invite more; the threshold is the least"),
    ],
)
def test_what_dropout_advises_first_is_possible(changes: dict[str, object], advice: str) -> None:
    found = collusion.dropout(subject(**{"cohort__dropout": 0.2} | changes))
    assert found.verdict == "fail"
    assert found.change[0].startswith(advice)


def test_graph_bits_of_a_sparse_graph_are_finite_and_of_a_complete_one_cannot_fail() -> None:
    complete = collusion.graph(subject())
    assert figure(complete, "-log2 E1") == figure(complete, "-log2 E2") == inf
    assert all(f.witness for f in complete.figures if f.value == inf)
    sparse = collusion.graph(subject(secagg__degree=14, secagg__threshold=3))
    assert figure(sparse, "-log2 E2") == pytest.approx(39.33, abs=0.01)  # 5 corrupt and 10 lost
    assert figure(sparse, "-log2 E1") == 0  # 3 of 5 corrupt clients among 14: to be expected somewhere
    assert figure(collusion.graph(subject(secagg__degree=14, secagg__threshold=6)), "-log2 E1") == inf


@settings(max_examples=20)
@given(n=st.integers(5, 128), t=st.floats(0, 1), rate=st.sampled_from([0.0, 0.1, 0.4]))
def test_bearable_dropout_is_where_one_round_in_a_hundred_fails(n: int, t: float, rate: float) -> None:
    config = configured(cohort__clients=n, cohort__dropout=rate, secagg__threshold=2 + int(t * (n - 4)))
    bearable = collusion.bearable_dropout(config)
    fixed = override(config, {"secagg.min_survivors": config.min_survivors})
    assert abort_probability(override(fixed, {"cohort.dropout": bearable})) <= 0.01
    assert abort_probability(override(fixed, {"cohort.dropout": bearable + 2 / 1024})) > 0.01


@given(bits=st.integers(8, 64), q=st.integers(2, 32), weight=st.integers(1, 2**20))
def test_ring_advice_is_the_least_that_carries_the_cohort(bits: int, q: int, weight: int) -> None:
    one = {"secagg__ring_bits": bits, "training__quantization_bits": q, "training__weight_max": weight}
    found = arithmetic.ring(subject(**one))
    needed = int(figure(found, "bits needed"))
    assert (found.verdict == "pass") == (bits >= needed)
    assert (found.value.value >= 100) == (bits >= needed)
    if needed <= 64:
        assert arithmetic.ring(subject(**one | {"secagg__ring_bits": needed})).verdict == "pass"


def test_quantization_is_told_where_it_is_coarse_or_cuts() -> None:
    assert arithmetic.quantization(subject()).verdict == "pass"
    assert arithmetic.quantization(subject(training__quantization_bits=3)).verdict == "warn"
    assert arithmetic.quantization(subject(training__learning_rate=1.0)).verdict == "warn"


def test_randomness_and_key_exchange() -> None:
    assert sources.randomness(subject()).verdict == "warn"
    assert sources.randomness(subject(cohort__seed=None)).verdict == "pass"
    assert sources.key_exchange(subject()).verdict == "pass"
    assert sources.key_exchange(subject(secagg__kem="x25519")).verdict == "warn"


def test_following_the_advice_ends_every_failure_of_the_paper() -> None:
    found = audit(
        configured(
            secagg__threshold=51, secagg__colluders=5, secagg__kem="x25519-mlkem768", privacy__honest_claimants=5
        )
    )
    assert not [finding.id for finding in found.findings if finding.verdict == "fail"]


@pytest.mark.parametrize("check", [union.union_plan, rows.peers, claims.budget])
def test_a_bitmap_of_everything_claimed_is_no_worse_than_it_says(check: Callable[..., Finding]) -> None:
    """Everybody claims the union: nothing is revealed, everything is downloaded."""
    found = check(subject(privacy__response="union"))
    assert found.verdict == "pass"
    assert all(f.value == 0 for f in found.all_figures if f.unit == "nats")
