"""Rounds with noise: the promised variance whoever is lost, one ball for every update, counts that tell nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from fractions import Fraction
from itertools import product
from math import isqrt, sqrt
from typing import Any

import numpy as np
import pytest
import rounds
from hypothesis import given
from hypothesis import strategies as st
from rounds import CATEGORY_OF, DENSE, EVERYTHING, TRUTH, agree, indices, make_client, make_plan, play

import dp
from securefl.errors import ConfigurationError, FaultyServerError, LocalProtocolError, TooFewSurvivorsError
from securefl.secagg import Aborted
from securefl.secagg.messages import MaskedInput, Unmasking
from securefl.submodel import (
    UPDATE,
    Downloaded,
    Quantization,
    QuantizedUpdate,
    SubmodelLimits,
    SubmodelPlan,
    Table,
    UpdateNoise,
    map_hash,
    noised,
)

HOW = Quantization(8, 1.0, 1)
NOISE = UpdateNoise(radius=60, variance=900)
EIGHT = {u: [0, 1] if u < 6 else [0, 11] for u in range(1, 9)}
"""All hold item 0; five hold item 1, three item 11."""


def noisy(**others: Any) -> SubmodelPlan:
    """Of eight clients, five must stay and one may collude: a row needs 3 + 1 claimants, and what may be lost."""
    settings = {"row_quantization": HOW, "dense_quantization": HOW, "noise": NOISE, "row_floor": 3, "response": TRUTH}
    return make_plan(**settings | others)


def train(client: int, held: Collection[int], download: Downloaded) -> QuantizedUpdate:
    """Ones wherever rows are held, counted once."""
    tables = {}
    for name, own in (("items", indices(held)), ("categories", np.unique(CATEGORY_OF[indices(held)]))):
        at = np.intersect1d(own, download.rows(name)[0])
        tables[name] = at, np.ones((at.size, download.rows(name)[1].shape[1] + 1), np.int64)
    return QuantizedUpdate(np.ones(DENSE + 1, np.int64), tables)


@pytest.fixture(autouse=True)
def _trains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "train", train)


def counter(seed: bytes) -> Any:
    """A stream of its own for each name; the same for the same."""
    from securefl.federation.randomness import _Stream

    return _Stream(seed.ljust(32, b"."))


def test_what_is_opened_is_the_sum_of_the_noised_updates_and_counts_are_of_clients() -> None:
    """To the last bit, from the same streams; every claimant counts, also one that sends a filler."""
    plan = noisy(response=EVERYTHING)
    clients = {u: make_client(u, own, 8, noise_rng=counter(b"%d" % u)) for u, own in EIGHT.items()}
    played = play(plan, 4, EIGHT, clients=clients)
    assert played.outcome is None
    params = agree(plan, 8, 4)
    items, categories = np.array([0, 1, 11]), np.unique(CATEGORY_OF[[0, 1, 11]])
    claimed = {"items": items, "categories": categories}
    sent = {u: noised(plan, params, played.updates[u], claimed, counter(b"%d" % u)) for u in EIGHT}
    sums = played.server.sums
    assert sums.dense.tolist() == sum(one.dense[:-1] for one in sent.values()).tolist()
    assert sums.dense_count == 8
    for name, table in sums.tables.items():
        assert table.indices.tolist() == claimed[name].tolist()
        assert table.sums.tolist() == sum(one.tables[name][1][:, :-1] for one in sent.values()).tolist()
        assert table.counts.tolist() == [8] * table.indices.size
    without = np.array([[8, 8], [5, 5], [3, 3]])
    assert (sums.tables["items"].sums != without).any()


def test_rows_that_losses_could_leave_to_few_honest_claimants_stay_out() -> None:
    """All 8 are live and 5 must stay, so 3 may be lost: 3 + 3 claimants are needed, which only item 0 has."""
    played = play(noisy(), 4, EIGHT)
    assert {name: table.indices.tolist() for name, table in played.server.sums.tables.items()} == {
        "items": [0],
        "categories": [0],
    }
    exact = play(noisy(noise=None), 4, EIGHT)
    assert exact.server.sums.tables["items"].indices.tolist() == [0, 1, 11]


def test_every_pattern_of_losses_leaves_every_row_its_honest_shares() -> None:
    """A15. Any three clients lost after the rows are known, one of the rest corrupt: 2 honest shares of 450."""
    plan, honest = noisy(), 2
    params = agree(plan, 8, 4)
    assert plan.honest_shares(params) == (4, honest)
    for lost in [(1, 2, 3), (6, 7, 8), (1, 6, 7)]:
        played = play(
            plan, 4, EIGHT, loses=lambda u, m, gone=lost: u in gone and type(m) is MaskedInput and m.sum == UPDATE
        )
        for table in played.server.sums.tables.values():
            assert (table.counts - params.colluders >= honest).all()
            assert (table.counts == 5).all()


def test_fewer_survivors_than_the_noise_was_sized_for_open_nothing_and_are_told() -> None:
    gone = {1, 2, 3, 4}
    played = play(noisy(), 4, EIGHT, loses=lambda u, m: u in gone and type(m) is MaskedInput and m.sum == UPDATE)
    assert isinstance(played.outcome, TooFewSurvivorsError)
    assert str(played.outcome) == str(TooFewSurvivorsError(4, 5))
    assert UPDATE not in played.server.results
    assert not played.messages(Unmasking, UPDATE)


@pytest.mark.parametrize("which", ["dense", "rows"])
def test_the_sum_of_the_shares_that_are_sure_has_the_promised_variance(which: str) -> None:
    """And no less: four of 5 survivors for dense numbers, two claimants of a row. 40,000 numbers each."""
    size = 40_000
    plan = noisy(
        dense=size,
        tables=(Table("items", rounds.ITEMS, size), Table("categories", rounds.CATEGORIES, 1, map_hash(CATEGORY_OF))),
    )
    params = agree(plan, 8, 4)
    of_dense, of_rows = plan.honest_shares(params)
    honest = of_dense if which == "dense" else of_rows
    zeros = {"items": (indices([]), np.zeros((0, size + 1), int)), "categories": (indices([]), np.zeros((0, 2), int))}
    update = QuantizedUpdate(np.eye(1, size + 1, size, dtype=int)[0], zeros)
    claimed = {"items": indices([3]), "categories": indices([1])}
    total = np.zeros(size)
    for client in range(honest):
        sent = noised(plan, params, update, claimed, counter(b"v%d" % client))
        total += sent.dense[:-1] if which == "dense" else sent.tables["items"][1][0, :-1]
    assert total.var() == pytest.approx(NOISE.variance, rel=6 * sqrt(2 / size))
    assert abs(total.mean()) < 6 * sqrt(NOISE.variance / size)
    law = dp.Skellam(Fraction(NOISE.variance)).masses()
    tail = float(sum(law.values[np.abs(np.arange(law.values.size) - law.values.size // 2) > 60]))
    assert (np.abs(total) > 60).mean() == pytest.approx(tail, rel=0.25)


def update_of(*numbers: int, row: int = 0, count: int = 1) -> QuantizedUpdate:
    tables = {"items": (indices([0]), np.array([[row, 0, count]])), "categories": (indices([]), np.zeros((0, 2), int))}
    return QuantizedUpdate(np.array([*numbers, 1]), tables)


@pytest.mark.parametrize(
    ("update", "sentence"),
    [
        (update_of(36, 48, 0), None),
        (update_of(0, 0, 0, row=-60), None),
        (update_of(36, 48, 1), "it lies outside the round's ball of radius 60"),
        (update_of(0, 0, 61), "outside the round's ball"),
        (update_of(36, 48, 0, row=1), "outside the round's ball"),
        (update_of(2**31, 2**31, 2**31, row=2**31), "outside the round's ball"),
        (update_of(0, 0, 0, count=2), "every client counts 1"),
        (update_of(0, 0, 0, count=0), "every client counts 1"),
        (QuantizedUpdate(np.zeros(4, int), update_of(0, 0, 0).tables), "every client counts 1"),
        (QuantizedUpdate(update_of(0, 0, 0).dense, {}), "exactly their tables"),
    ],
)
def test_only_an_update_in_the_ball_that_counts_once_is_sent(update: QuantizedUpdate, sentence: str | None) -> None:
    """A15: whatever a model made of it."""
    plan, claimed = noisy(), {"items": indices([0, 5]), "categories": indices([0])}
    params = agree(plan, 8, 4)
    if sentence is None:
        out = noised(plan, params, update, claimed, counter(b"x"))
        assert out.tables["items"][0].tolist() == [0, 5]
        assert out.tables["items"][1][:, -1].tolist() == [1, 1]
        return
    with pytest.raises(LocalProtocolError, match=sentence):
        noised(plan, params, update, claimed, counter(b"x"))


def test_noise_is_not_for_rounds_without() -> None:
    plan = make_plan()
    with pytest.raises(LocalProtocolError, match="noise is for rounds that agree on some"):
        noised(plan, agree(plan, 8, 4), update_of(0, 0, 0), {"items": indices([0])}, counter(b"x"))


def test_a_client_charges_its_ledger_before_it_sends_and_stays_out_above_its_budget() -> None:
    plan = noisy()
    release = plan.noise.release(plan.numbers)
    twice = dp.Release(release.noise, release.sensitivity, 2).renyi(Fraction(1, 10**6))
    held = EIGHT[1]
    ledger = dp.InMemoryLedger(dp.Budget(plan.two_stage, central=float(twice)))
    for number in (1, 2):
        client = make_client(1, held, 8, ledger=ledger)
        assert play(plan, 4, EIGHT, clients={1: client}).outcome is None
        assert ledger.spent().central == dp.Release(release.noise, release.sensitivity, number).renyi(
            Fraction(1, 10**6)
        )
    client = make_client(1, held, 8, ledger=ledger)
    played = play(plan, 4, EIGHT, clients={1: client})
    assert played.refused(1, LocalProtocolError, "no update can be sent: central: this would spend", after=5)
    assert isinstance(client.state, Aborted)
    assert played.server.sums.dense_count == 7
    assert ledger.spent().central == twice


IMPOSSIBLE: dict[str, tuple[dict[str, Any], str]] = {
    "weights": ({"dense_quantization": Quantization(8, 1.0, 2)}, "every client counts alike; use weight_max=1, not 2"),
    "nobody honest in a row": ({"row_floor": 1}, "no honest share is sure in a row; raise the row floor by 1"),
    "too wide to draw": ({"noise": UpdateNoise(60, 2**33)}, "is too wide to draw; use fewer quantization bits"),
    "noise beyond the ring": (
        {"ring_bits": 12},
        "ring_bits: 12 do not carry 8 clients and their noise, up to .* use ring",
    ),
}


@pytest.mark.parametrize(("change", "sentence"), IMPOSSIBLE.values(), ids=list(IMPOSSIBLE))
def test_c1_noise_that_cannot_be_kept_is_refused(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        agree(noisy(**change), 8, 4)


def test_c1_the_ring_that_is_advised_carries_the_noise_and_one_bit_less_does_not() -> None:
    for bits in range(8, 24):
        try:
            agree(noisy(ring_bits=bits), 8, 4)
        except ConfigurationError as error:
            last = str(error)
        else:
            assert f"use ring_bits={bits}" in last
            return
    raise AssertionError("no ring carries it")


@given(st.fractions(1, 10**9, max_denominator=100))
def test_c1_noise_beyond_its_reach_is_rarer_than_2_to_the_700(variance: Fraction) -> None:
    """By the bound itself, in logarithms: x asinh(x / mu) - sqrt(x^2 + mu^2) + mu at the reach."""
    from math import asinh, hypot, log

    law, mu = dp.Skellam(variance), float(variance)
    x = law.reach
    assert x * asinh(x / mu) - hypot(x, mu) + mu >= 700 * log(2) * (1 - 1e-9)
    assert x <= 64 + 64 * sqrt(mu)


@given(st.integers(1, 6), st.integers(1, 3))
def test_no_replacement_within_the_ball_moves_more_than_the_sensitivity(radius: int, numbers: int) -> None:
    moved = UpdateNoise(radius, 1).release(numbers).sensitivity
    ball = [x for x in product(range(-radius, radius + 1), repeat=numbers) if sum(v * v for v in x) <= radius**2]
    edge = [x for x in ball if sum(v * v for v in x) > (radius - 1) ** 2]
    for one, other in product(edge, edge):
        away = [a - b for a, b in zip(one, other, strict=True)]
        assert sum(map(abs, away)) <= moved.l1
        assert sum(a * a for a in away) <= moved.l2_squared
    assert (
        moved.l2_squared
        == (2 * radius) ** 2
        == max(sum((a - b) ** 2 for a, b in zip(x, y, strict=True)) for x in edge for y in edge)
    )


def test_a_release_is_that_of_the_whole_model() -> None:
    plan = noisy()
    assert plan.numbers == DENSE + 2 * rounds.ITEMS + rounds.CATEGORIES
    release = plan.noise.release(plan.numbers)
    assert release.noise == dp.Skellam(Fraction(900))
    assert release.sensitivity == dp.Sensitivity(Fraction(120 * (isqrt(31) + 1)), Fraction(120**2), 31)


def test_plans_with_and_without_noise_have_different_hashes() -> None:
    hashes = Counter(plan.hash for plan in (noisy(), noisy(noise=None), noisy(noise=UpdateNoise(60, 901))))
    assert max(hashes.values()) == 1


def test_a_client_takes_no_less_noise_than_it_wants() -> None:
    """The round's is of deviation 30 in a ball of 60."""
    for plan, least, refused in ((noisy(), 0.5, False), (noisy(), 0.51, True), (noisy(noise=None), 0.1, True)):
        client = make_client(1, EIGHT[1], 8, submodel_limits=SubmodelLimits(min_noise=least))
        played = play(plan, 4, EIGHT, clients={1: client})
        assert played.outcome is None
        assert (1 in played.errors) == refused
        if refused:
            assert played.refused(1, FaultyServerError, "the plan is refused: noise of ", after=0)
