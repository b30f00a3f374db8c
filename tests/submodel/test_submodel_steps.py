"""Updates and claims: what a client does not send, and what the server does not take. Attacks B4, D6, E2 and E4."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from rounds import (
    DENSE,
    EVERYTHING,
    FIVE,
    ITEMS,
    OTHERS,
    PLAN,
    SEVEN_EIGHTHS,
    VICTIM,
    downloaded,
    indices,
    make_client,
    make_plan,
    play,
    public,
    stopped_at,
)

import dp
from securefl.errors import LocalProtocolError, TooFewSurvivorsError
from securefl.secagg import Aborted
from securefl.secagg.messages import Unmasking
from securefl.submodel import UPDATE, QuantizedUpdate
from securefl.submodel.messages import Claim, Submodel


def an_update(**change: Any) -> QuantizedUpdate:
    """Of the victim, which claimed items 0, 6, 7."""
    tables = {"items": (indices([0, 7]), np.ones((2, 3), int)), "categories": (indices([0]), np.ones((1, 2), int))}
    return QuantizedUpdate(change.pop("dense", np.zeros(DENSE + 1, int)), tables | change)


UPDATES: dict[str, tuple[QuantizedUpdate, str]] = {
    "a row that was not claimed": (
        an_update(items=(indices([0, 5]), np.ones((2, 3), int))),
        "rows that were not claim",
    ),
    "a row beyond the last": (an_update(items=(indices([0, 9]), np.ones((2, 3), int))), "rows that were not claimed"),
    "rows out of order": (an_update(items=(np.array([7, 0]), np.ones((2, 3), int))), "or not in ascending order"),
    "a row twice": (an_update(items=(np.array([7, 7]), np.ones((2, 3), int))), "or not in ascending order"),
    "rows without counts": (an_update(items=(indices([0, 7]), np.ones((2, 2), int))), "rows take integers of shape"),
    "one row for all": (an_update(items=(indices([0, 7]), np.ones((1, 3), int))), "rows take integers of shape"),
    "rows of floats": (an_update(items=(indices([0, 7]), np.ones((2, 3)))), "rows take integers of shape"),
    "c1 rows beyond the ring": (
        an_update(items=(indices([0, 7]), np.full((2, 3), 1 << 24))),
        "'items' holds a value outside its ring of 24 bits",
    ),
    "c1 dense beyond the ring": (an_update(dense=np.full(DENSE + 1, -(1 << 23) - 1)), "'dense' holds a value outside"),
    "dense without a count": (an_update(dense=np.zeros(DENSE, int)), "'dense' takes integers of shape"),
    "dense floats": (an_update(dense=np.zeros(DENSE + 1)), "'dense' takes integers of shape"),
    "another table": (an_update(other=(indices([]), np.ones((0, 3), int))), "exactly the tables of the plan"),
    "a table missing": (
        QuantizedUpdate(np.zeros(DENSE + 1, int), {"items": (indices([]), np.ones((0, 3), int))}),
        "exactly the tables of the plan",
    ),
}


@pytest.mark.parametrize(("update", "sentence"), UPDATES.values(), ids=list(UPDATES))
def test_an_update_that_does_not_fit_is_not_sent(update: QuantizedUpdate, sentence: str) -> None:
    client = downloaded()
    with pytest.raises(LocalProtocolError, match=sentence):
        client.upload(update)
    assert isinstance(client.state, Aborted)


def test_an_update_is_sent_once_and_only_after_the_download() -> None:
    client, message = stopped_at(Submodel)
    with pytest.raises(LocalProtocolError, match="no submodel was downloaded"):
        client.upload(an_update())
    client.receive(message)
    (masked,) = client.upload(an_update())
    assert masked.sum == UPDATE
    with pytest.raises(LocalProtocolError, match="no submodel was downloaded, or it was already answered"):
        client.upload(an_update())


def test_an_invitation_without_a_plan_goes_no_further_than_the_set_up() -> None:
    client = make_client(1, [0], 5)
    with pytest.raises(LocalProtocolError, match="no round was agreed on"):
        client._agreed()


def test_b4_a_claim_needs_a_random_source_that_works() -> None:
    client = make_client(VICTIM, FIVE[VICTIM], 5, rng=lambda _: b"")
    played = play(PLAN, 3, FIVE, clients={VICTIM: client})
    assert played.refused(VICTIM, LocalProtocolError, "the index set does not fit the round", after=2)
    assert played.is_exact(OTHERS)


class Forgetful(dp.InMemoryMemo):
    """A memo that recalls what nobody may answer."""

    def recall(self, indices: np.ndarray, /) -> np.ndarray:
        return np.full(len(indices), 7, np.int8)


def test_d6_a_memo_that_contradicts_itself_ends_the_round_without_a_claim() -> None:
    client = make_client(VICTIM, FIVE[VICTIM], 5, memo=Forgetful())
    played = play(PLAN, 3, FIVE, clients={VICTIM: client})
    assert played.refused(VICTIM, LocalProtocolError, "no claim can be made", after=4)
    assert played.is_exact(OTHERS)


def test_d6_permanent_answers_are_those_of_the_claim() -> None:
    memo = dp.InMemoryMemo()
    play(make_plan(response=EVERYTHING), 3, FIVE, clients={VICTIM: make_client(VICTIM, FIVE[VICTIM], 5, memo=memo)})
    assert memo.recall(np.arange(ITEMS)).tolist() == [1 if item in {0, 1, 2, 6, 7, 11} else -1 for item in range(ITEMS)]


def test_d6_a_claim_is_charged_though_the_round_then_fails() -> None:
    ledger = dp.InMemoryLedger(dp.Budget(dp.TwoStage.parse("7/8")))
    client = make_client(VICTIM, FIVE[VICTIM], 5, ledger=ledger)
    played = play(
        make_plan(response=SEVEN_EIGHTHS),
        3,
        FIVE,
        loses=lambda _, m: getattr(m, "sum", None) == UPDATE,
        clients={VICTIM: client},
    )
    assert VICTIM in played.senders(Claim)
    assert isinstance(played.outcome, TooFewSurvivorsError)
    assert ledger.spent().rounds == 1
    assert ledger.spent().index == dp.TwoStage.parse("7/8").epsilon_round()


def test_d6_a_client_that_has_spent_its_budget_sends_no_claim() -> None:
    ledger = dp.InMemoryLedger(dp.Budget(dp.TwoStage.parse("7/8"), index=1.0))
    client = make_client(VICTIM, FIVE[VICTIM], 5, ledger=ledger)
    played = play(make_plan(response=SEVEN_EIGHTHS), 3, FIVE, clients={VICTIM: client})
    assert played.refused(VICTIM, LocalProtocolError, "index: this would spend 1.273 of 1.0 nats", after=4)
    assert ledger.spent().rounds == 0
    assert played.is_exact(OTHERS)


CLAIMS: dict[str, tuple[Any, str]] = {
    "e4 nothing": (Claim(b""), "not an index set of this universe"),
    "e4 positions beyond the union": (Claim(b"\0\xc0"), "a bitmap of the wrong length"),
    "e4 a longer form": (Claim(b"\1\0"), "not in canonical form"),
    "e4 too long": (Claim(bytes(9)), "not an index set of this universe"),
    "e2 another message": (Unmasking("union", {}), "Unmasking is not awaited"),
}


@pytest.mark.parametrize(("claim", "sentence"), CLAIMS.values(), ids=list(CLAIMS))
def test_e4_a_malformed_claim_drops_its_sender_only(claim: Any, sentence: str) -> None:
    up = lambda u, m: claim if u == VICTIM and isinstance(m, Claim) else m  # noqa: E731
    played = play(PLAN, 3, FIVE, up=up)
    assert played.server.faults.keys() == {public(VICTIM)}
    assert sentence in played.server.faults[public(VICTIM)]
    assert played.outcome is None
    assert played.is_exact(OTHERS)
