"""Whole rounds against clear sums: whoever is lost at whichever of seven messages, per-row sums are exact or absent."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rounds import (
    CATEGORY_OF,
    DENSE_LAYERS,
    EVERYTHING,
    ITEMS,
    SEVEN_EIGHTHS,
    STEPS,
    TABLES,
    TRUTH,
    Round,
    make_client,
    make_plan,
    play,
    union_plan,
)

import bloom
from securefl.errors import TooFewSurvivorsError, UnexpectedMessageError
from securefl.secagg import Aborted
from securefl.secagg.bundles import sign_bundles
from securefl.secagg.messages import Bundle, MaskedInput, ShareKeys, Unmasking
from securefl.submodel import UNION, UPDATE
from securefl.submodel.messages import Submodel, UnionAnnounced

SIX = {1: [0, 1, 2], 2: [0, 1], 3: [5, 6, 7], 4: [0, 11], 5: [5], 6: [1, 10]}
"""Six clients' index sets."""


class Fate:
    """Who answers at which of the seven steps, if these (client, step) are lost."""

    def __init__(self, clients: int, threshold: int, lost: set[tuple[int, int]], may_return: bool) -> None:
        self.lost, self.may_return, self._needed = lost, may_return, threshold + 1
        live = self._answering(self._answering(set(range(1, clients + 1)), 0), 1)
        self.asked: dict[str, set[int]] = {}
        """By sum, who is told the survivors: they are its survivors."""
        self.opened: dict[str, set[int]] = {}
        """By sum, who is in it, once it is open."""
        if len(live) >= self._needed and self._sum(UNION, live, 2):
            claiming = self._answering(live, 4)
            if len(claiming) >= self._needed:
                self._sum(UPDATE, claiming, 5)

    def loses(self, client: int, message: object) -> bool:
        return (client, STEPS.index((type(message), getattr(message, "sum", None)))) in self.lost

    def unmasked(self, name: str) -> set[int]:
        """Who releases shares for a sum."""
        return self._answering(self.asked.get(name, set()), 3 if name == UNION else 6)

    def _answering(self, asked: set[int], step: int) -> set[int]:
        steps = [step] if self.may_return else range(step + 1)
        return {u for u in asked if not any((u, s) in self.lost for s in steps)}

    def _sum(self, name: str, live: set[int], step: int) -> bool:
        inputs = self._answering(live, step)
        if len(inputs) < self._needed:
            return False
        self.asked[name] = inputs
        if len(self.unmasked(name)) < self._needed:
            return False
        self.opened[name] = inputs
        return True


def union_of(held: Collection[Collection[int]], kind: str) -> list[int]:
    """What the union must be: exact, or a filter's members."""
    truth = sorted(set().union(*held))
    if kind == "bitmap":
        return truth
    known = bloom.BloomFilter(union_plan("filter").cells, union_plan("filter").hashes)
    known.insert(np.array(truth, np.uint64))
    return np.flatnonzero(known.contains(np.arange(ITEMS, dtype=np.uint64))).tolist()


def check(played: Round, fate: Fate, kind: str) -> None:
    assert not played.errors
    assert not played.server.faults
    for name in (UNION, UPDATE):
        assert played.senders(Unmasking, name) == fate.unmasked(name)
    assert played.server.results.keys() == fate.opened.keys()
    if UNION in fate.opened:
        expected = union_of([played.held[u] for u in fate.opened[UNION]], kind)
        assert played.server.union.tolist() == expected
        assert all(m.union == played.told(UnionAnnounced)[u].union for u, m in played.told(UnionAnnounced).items())
    if UPDATE in fate.opened:
        assert played.outcome is None
        assert played.is_exact(fate.opened[UPDATE])
        check_uploads(played)
    else:
        assert isinstance(played.outcome, TooFewSurvivorsError)
        assert isinstance(played.server.state, Aborted)


def check_uploads(played: Round) -> None:
    """D1: a row below the floor is in no upload and in no result; one above it is in that of every claimant."""
    above, claimed = played.above_the_floor(), played.claimed()
    for u, message in played.messages(MaskedInput, UPDATE).items():
        for (name, table), segment in zip(TABLES.items(), message.segments[1:], strict=True):
            rows = len(claimed[u][name] & set(above[name]))
            assert len(segment) == rows * (table.shape[1] + 1) * played.plan.ring_bits // 8
    everything = {name: set().union(*(own[name] for own in claimed.values())) for name in TABLES}
    left_out = sum(len(everything[name] - set(above[name])) for name in TABLES)
    assert played.server.sums.rows_left_out == left_out


index_sets = st.sets(st.integers(0, ITEMS - 1), max_size=6)


@st.composite
def rounds(draw: st.DrawFn) -> tuple[int, dict[int, set[int]], set[tuple[int, int]], bool, str, int, tuple[str, ...]]:
    n = draw(st.integers(3, 8))
    t = draw(st.integers(2, n - 1))
    held = {u: draw(index_sets) for u in range(1, n + 1)}
    lost = draw(st.sets(st.tuples(st.integers(1, n), st.integers(0, 6)), max_size=2 * (n - t)))
    kind = draw(st.sampled_from(["bitmap", "filter"]))
    response = draw(st.sampled_from([TRUTH, EVERYTHING, SEVEN_EIGHTHS]))
    return t, held, lost, draw(st.booleans()), kind, draw(st.integers(1, n)), response


def check_round(drawn: tuple[int, dict[int, set[int]], set[tuple[int, int]], bool, str, int, tuple[str, ...]]) -> None:
    t, held, lost, may_return, kind, floor, response = drawn
    fate = Fate(len(held), t, lost, may_return)
    plan = make_plan(union=union_plan(kind).to_bytes(), row_floor=floor, response=response)
    check(play(plan, t, held, loses=fate.loses, may_return=may_return), fate, kind)


test_e1_any_losses = settings(max_examples=60)(given(rounds())(check_round))
test_e1_any_losses_at_length = pytest.mark.slow(settings(max_examples=1000)(given(rounds())(check_round)))


@pytest.mark.parametrize("step", range(7), ids=[f"{kind.__name__} {name or ''}".strip() for kind, name in STEPS])
@pytest.mark.parametrize("missing", [0, 1, 2, 3], ids=["0 lost", "1 lost", "n-t-1 lost", "n-t lost"])
def test_e1_the_boundary_at_every_message(step: int, missing: int) -> None:
    """n = 6, t = 3: four clients must stay."""
    fate = Fate(6, 3, {(u, step) for u in range(1, missing + 1)}, may_return=False)
    assert (UPDATE in fate.opened) == (missing <= 2)
    assert (UNION in fate.opened) == (missing <= 2 or step >= 4)
    check(play(make_plan(row_floor=2), 3, SIX, loses=fate.loses), fate, "bitmap")


@pytest.mark.parametrize("dealer", [1, 6], ids=["lower dealer", "higher dealer"])
@pytest.mark.parametrize("lost", [set(), {4}], ids=["claims", "lost at its claim"])
def test_a_dealer_of_an_unusable_bundle_is_left_out_of_both_sums(dealer: int, lost: set[int]) -> None:
    """Client 3 cannot use what it was dealt. It names the dealer where that is live, and only there."""
    clients = {dealer: make_client(dealer, SIX[dealer], 6)}

    def up(client: int, message: Any) -> Any:
        if client != dealer or not isinstance(message, ShareKeys):
            return message
        shared = clients[dealer].state
        bundles = message.bundles | {3: Bundle(bytes(99), bytes(32 * len(shared.setup.dealt)))}
        return sign_bundles(shared.setup, shared.id, shared.identity, bundles)

    fate = Fate(6, 3, {(dealer, step) for step in lost}, may_return=True)
    played = play(make_plan(), 3, SIX, up=up, clients=clients, loses=fate.loses, may_return=True)
    assert played.is_exact(SIX.keys() - {dealer})
    assert played.server.union.tolist() == sorted(set().union(*(SIX[u] for u in SIX.keys() - {dealer})))
    assert played.messages(MaskedInput, UNION)[3].refused == [dealer]
    assert played.messages(MaskedInput, UPDATE)[3].refused == ([] if lost else [dealer])
    assert not played.server.faults


def test_a_client_lost_in_the_union_may_claim() -> None:
    """Its own indices are missing from the union, unless somebody else holds them."""
    fate = Fate(6, 3, {(3, 2), (5, 2)}, may_return=True)
    played = play(make_plan(), 3, SIX, loses=fate.loses, may_return=True)
    check(played, fate, "bitmap")
    assert played.server.union.tolist() == [0, 1, 2, 10, 11]
    assert played.claimed()[3]["items"] == set()
    assert fate.opened[UPDATE] == {1, 2, 3, 4, 5, 6}


@pytest.mark.parametrize("floor", range(1, 7))
def test_d1_a_row_below_the_floor_is_left_out_by_every_claimant_alike(floor: int) -> None:
    """Claimants count before losses: client 1 is lost after its claim, and its rows go up all the same."""
    fate = Fate(6, 3, {(1, 5)}, may_return=False)
    played = play(make_plan(row_floor=floor), 3, SIX, loses=fate.loses)
    check(played, fate, "bitmap")
    claimants = np.bincount(np.concatenate(list(SIX.values())), minlength=ITEMS)
    assert claimants.tolist() == [3, 3, 1, 0, 0, 2, 1, 1, 0, 0, 1, 1]
    assert list(played.opened()["items"]) == np.flatnonzero(claimants >= floor).tolist()


def test_a_row_whose_last_claimants_are_lost_opens_to_zero() -> None:
    fate = Fate(6, 3, {(3, 5), (5, 5)}, may_return=False)
    played = play(make_plan(), 3, SIX, loses=fate.loses)
    check(played, fate, "bitmap")
    assert played.opened()["items"][5] == played.opened()["items"][7] == [0, 0, 0]


def test_a_category_goes_with_its_items() -> None:
    """What follows is claimed by whoever claims an item of it, once."""
    played = play(make_plan(), 3, SIX)
    for u, own in played.claimed().items():
        assert own["items"] == set(SIX[u])
        assert own["categories"] == {int(CATEGORY_OF[item]) for item in SIX[u]}
        assert len(played.told(Submodel)[u].tables[1].rows) == 2 * len(own["categories"])
    assert played.is_exact(SIX.keys())


@pytest.mark.parametrize("response", [TRUTH, EVERYTHING, SEVEN_EIGHTHS])
def test_d9_a_client_that_holds_nothing_takes_part(response: tuple[str, ...]) -> None:
    held = {**SIX, 4: []}
    played = play(make_plan(response=response), 3, held)
    check(played, Fate(6, 3, set(), may_return=False), "bitmap")
    assert played.updates[4].tables["items"][0].size == 0


@pytest.mark.parametrize("kind", ["bitmap", "filter"])
@pytest.mark.parametrize("response", [TRUTH, EVERYTHING, SEVEN_EIGHTHS])
def test_d9_an_empty_union_still_sums_the_dense_layers(response: tuple[str, ...], kind: str) -> None:
    held: dict[int, list[int]] = {u: [] for u in range(1, 7)}
    played = play(make_plan(union=union_plan(kind).to_bytes(), response=response), 3, held)
    check(played, Fate(6, 3, set(), may_return=False), kind)
    assert played.server.union.size == 0
    assert played.opened() == {"dense": [-18, 3, 24, 45], "items": {}, "categories": {}}


def test_d3_what_a_client_sends_to_the_union_does_not_tell_how_much_it_holds() -> None:
    for kind in ("bitmap", "filter"):
        played = play(make_plan(union=union_plan(kind).to_bytes()), 3, {**SIX, 4: [], 5: range(ITEMS)})
        assert len({len(message.segments[0]) for message in played.messages(MaskedInput, UNION).values()}) == 1


def test_what_is_downloaded_is_the_model_in_16_bits() -> None:
    played = play(make_plan(), 3, SIX)
    dense = DENSE_LAYERS.astype("<f2").tobytes()
    assert all(message.dense == dense for message in played.told(Submodel).values())
    rows = np.frombuffer(played.told(Submodel)[3].tables[0].rows, "<f2").reshape(3, 2)
    assert (rows == TABLES["items"][[5, 6, 7]].astype(np.float16)).all()


def test_sums_are_there_only_once_the_round_is_over() -> None:
    played = play(make_plan(), 5, SIX, loses=Fate(6, 5, {(1, 5)}, may_return=False).loses)
    assert UNION in played.server.results
    with pytest.raises(UnexpectedMessageError, match="not opened yet"):
        _ = played.server.sums
