"""The adviser: what it proposes keeps the wish, validates, and is the best of its kind."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from securefl.audit import audit
from securefl.audit.adviser import ABORT, GOES_UP, Wish, advise
from securefl.config import abort_probability, load, override, uploaded_share, validate
from securefl.errors import ConfigurationError
from securefl.secagg import degree_and_threshold, failure_exponents

WISH = Wish(100, 0.1, 5, 2.0, 20_000, 36, union=2568, categories=200)


@settings(max_examples=10)
@given(
    n=st.integers(10, 128),
    dropout=st.sampled_from([0.0, 0.05, 0.2]),
    share=st.sampled_from([0.0, 0.05, 0.2]),
    epsilon=st.sampled_from([0.3, 1.0, 2.0, 5.0]),
    malicious=st.booleans(),
)
def test_a_proposal_validates_and_keeps_the_wish(
    n: int, dropout: float, share: float, epsilon: float, malicious: bool
) -> None:
    wish = Wish(n, dropout, int(share * n), epsilon, 5_000, 40, malicious=malicious)
    try:
        advice = advise(wish)
    except ConfigurationError:
        assume(False)
    config = advice.proposed.config
    validate(config)
    assert 0 < config.response.epsilon_ever() <= epsilon
    assert config.colluders == wish.corrupt
    assert abort_probability(config) <= ABORT
    assert config.privacy.honest_claimants == 2 or uploaded_share(config) >= GOES_UP


def test_the_threshold_and_the_row_floor_are_the_highest_that_do() -> None:
    config = advise(WISH).proposed.config
    higher = override(config, {"secagg.threshold": config.threshold + 1, "secagg.min_survivors": None})
    assert abort_probability(higher) > ABORT
    more = override(config, {"privacy.honest_claimants": config.privacy.honest_claimants + 1})
    assert uploaded_share(more) < GOES_UP


def test_less_privacy_costs_fewer_bytes() -> None:
    offers = advise(WISH).others
    assert [o.epsilon_ever for o in offers] == sorted(o.epsilon_ever for o in offers)
    assert [o.traffic.total for o in offers] == sorted((o.traffic.total for o in offers), reverse=True)
    assert len({str(o.config.response) for o in offers}) == len(offers)


def test_the_proposal_is_a_file_that_audit_takes_and_nothing_in_it_fails(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    advice = advise(WISH)
    path.write_text(advice.toml)
    config = load(path)
    assert config == override(advice.proposed.config, {})
    found = audit(config)
    assert not [finding.id for finding in found.findings if finding.verdict == "fail"]
    assert found.finding("response").value.value <= 2


def test_a_large_cohort_is_split_and_every_shard_bears_all_the_corrupt() -> None:
    advice = advise(replace(WISH, clients=1000, corrupt=10))
    assert (advice.wish.shards, advice.wish.shard) == (8, 125)
    assert advice.proposed.config.cohort.clients == 125
    assert advice.proposed.config.colluders == 10
    assert "One of 8 shards" in advice.toml
    assert advice.sparse == degree_and_threshold(1000, 0.01, 0.1, "semi_honest")
    k, t = advice.sparse
    assert failure_exponents(1000, k, t, 0.01, 0.1).unmasked <= -41


def test_a_lying_server_asks_for_more() -> None:
    honest, lying = advise(WISH).proposed.config, advise(replace(WISH, malicious=True)).proposed.config
    assert lying.malicious
    assert lying.threshold >= (99 + 5) // 2 + 1
    assert lying.row_floor_of(100) >= honest.row_floor_of(100) - 5


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"clients": 3}, "--clients: got 3; use 4 to 1,048,576"),
        ({"dropout": 1.2}, "--dropout: got 1.2; use 0 to 0.9"),
        ({"corrupt": 99}, "--corrupt: got 99; use 0 to 98"),
        ({"epsilon": 0.0}, "--epsilon: got 0.0; use 1e-05 to 30"),
        ({"epsilon": float("nan")}, "--epsilon: got nan"),
        ({"typical_set": 30_000}, "--typical-set: got 30000; use 1 to 20,000"),
        ({"union": 10}, "--union: got 10; use 36 to 20,000"),
        ({"universe": 0}, "--universe: got 0"),
    ],
)
def test_a_wish_out_of_range_is_refused_by_name(change: dict[str, float], sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        replace(WISH, **change)  # type: ignore[arg-type]  # wrong on purpose
    assert str(caught.value).startswith(sentence)


def test_what_cannot_be_is_refused_with_what_would_help() -> None:
    with pytest.raises(ConfigurationError, match=r"--corrupt: 60 of 100 clients ask for 81 survivors, .* invite more"):
        advise(replace(WISH, corrupt=60, dropout=0.3, malicious=True))


def test_too_many_corrupt_for_the_row_floor_are_told_in_words_of_the_wish_and_each_way_out_is_one() -> None:
    wish = replace(WISH, clients=1000, corrupt=50)
    with pytest.raises(ConfigurationError) as caught:
        advise(wish)
    told = re.fullmatch(
        r"--corrupt: 50 corrupt of 125 clients in each shard put the row floor where hardly a row reaches it; "
        r"use at most (\d+), or --epsilon (\S+), for more claimants",
        str(caught.value),
    )
    assert told is not None
    advise(replace(wish, corrupt=int(told[1])))
    advise(replace(wish, epsilon=float(told[2])))
    with pytest.raises(ConfigurationError, match="hardly a row"):
        advise(replace(wish, corrupt=int(told[1]) + 1))


@pytest.mark.parametrize("epsilon", [1e-4, 0.01, 0.1, 1.0, 10.0, 30.0])
def test_odds_come_near_the_wish_from_below(epsilon: float) -> None:
    ever = float(advise(replace(WISH, epsilon=epsilon, clients=20, corrupt=1)).proposed.config.response.epsilon_ever())
    assert ever <= epsilon
    assert ever >= min(0.4 * epsilon, 4.1)
