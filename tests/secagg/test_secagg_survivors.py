"""What a client answers when it is told who survived, and when it answers nothing. Attacks A1 and A3 to A6."""

from __future__ import annotations

from typing import Any

import pytest
from sessions import A, B, agree, losing, play, told

from securefl.errors import (
    FaultyServerError,
    LocalProtocolError,
    ProtocolError,
    TooFewSurvivorsError,
    UnexpectedMessageError,
)
from securefl.secagg import Aborted
from securefl.secagg.messages import AdvertiseKeys, MaskedInput, OpenSum, ShareKeys, Survivors, Unmasking

VICTIM = 3
AGREED = agree(7, 4, A, B)
LISTED = [1, 2, 3, 4, 5, 6]
"""The honest list: client 7 deals nothing, so it is not live."""
MASKED = [AdvertiseKeys, ShareKeys, MaskedInput]
"""What a client has sent when it is told who survived."""
OPENED = [*MASKED, Unmasking]
"""What it has sent when a second sum opens."""

SURVIVORS: dict[str, tuple[list[int], type[ProtocolError], str]] = {
    "a1 an id twice": ([*LISTED, 1], FaultyServerError, "not distinct live clients"),
    "a4 itself missing": ([1, 2, 4, 5, 6], FaultyServerError, "listed as lost although"),
    "a4 itself missing, an id twice": ([1, 1, 2, 4, 5, 6], FaultyServerError, "not distinct live"),
    "a5 an id that no one has": ([*LISTED, 8], FaultyServerError, "not distinct live clients"),
    "a5 an id that is not live": ([*LISTED, 7], FaultyServerError, "not distinct live clients"),
    "a6 too few": ([1, 2, 3, 4], TooFewSurvivorsError, "3 surviving neighbours left, 4 needed"),
    "a6 itself alone": ([VICTIM], TooFewSurvivorsError, "0 surviving neighbours left, 4 needed"),
    "a6 nobody": ([], FaultyServerError, "listed as lost although"),
}


@pytest.mark.parametrize(("lie", "error", "sentence"), SURVIVORS.values(), ids=list(SURVIVORS))
def test_a_false_list_of_survivors_is_not_answered(lie: list[int], error: type[ProtocolError], sentence: str) -> None:
    down = told(VICTIM, Survivors, lambda m: Survivors(m.sum, lie))
    session = play(AGREED, down=down, loses=losing([7], ShareKeys))
    assert session.refused(VICTIM, error, sentence, after=MASKED)
    assert session.is_exact("a", {1, 2, 3, 4, 5, 6})


def test_the_control_of_the_lists_above_is_answered() -> None:
    session = play(AGREED, loses=losing([7], ShareKeys))
    assert [m.survivors for u, m in session.shown if u == VICTIM and isinstance(m, Survivors)] == [LISTED] * 2
    assert session.is_exact("a", {1, 2, 3, 4, 5, 6})
    assert session.is_exact("b", {1, 2, 3, 4, 5, 6})


def test_a6_as_many_survivors_as_are_needed_are_answered() -> None:
    down = told(VICTIM, Survivors, lambda m: Survivors(m.sum, [1, 2, 3, 4, 5]))
    session = play(agree(7, 4), down=down)
    assert VICTIM in session.senders(Unmasking)


def test_of_each_neighbour_one_share_is_released_and_of_the_right_kind() -> None:
    session = play(AGREED, loses=losing([2, 6], MaskedInput), may_return=True)
    dealt = session.clients[VICTIM].state.dealt
    answers = [m for u, m in session.sent if u == VICTIM and isinstance(m, Unmasking)]
    assert [m.sum for m in answers] == ["a", "b"]
    for message in answers:
        kinds = {1: "b", 2: "m", 4: "b", 5: "b", 6: "m", 7: "b"}
        assert message.shares == {v: dealt[v].values[message.sum, kind] for v, kind in kinds.items()}


@pytest.mark.parametrize("again", ["the same list", "another list"])
def test_a3_survivors_are_answered_once(again: str) -> None:
    """The second answer would open both secrets of whoever is on one list and not on the other."""
    session = play(agree(7, 4))
    client = session.clients[VICTIM]
    survivors = next(m for u, m in session.shown if u == VICTIM and isinstance(m, Survivors))
    if again == "another list":
        survivors = Survivors("a", [1, 2, 3, 4, 5])
    with pytest.raises(UnexpectedMessageError, match="does not belong in state Ready"):
        client.receive(survivors)
    assert isinstance(client.state, Aborted)
    with pytest.raises(LocalProtocolError, match="this session is over"):
        client.receive(survivors)


def test_a3_survivors_of_a_sum_that_was_passed_over_are_not_answered() -> None:
    """Once a later sum has the client's input, the list of the earlier one comes too late."""

    def down(client: int, message: Any) -> Any:
        if client == VICTIM and isinstance(message, Survivors) and message.sum == "b":
            return Survivors("a", message.survivors)
        return message

    session = play(AGREED, down=down, loses=losing([VICTIM], MaskedInput, "a"), may_return=True)
    after = [AdvertiseKeys, ShareKeys, MaskedInput]  # that of the second sum
    assert session.refused(VICTIM, UnexpectedMessageError, "survivors of another sum", after=after)
    assert session.is_exact("b", {1, 2, 3, 4, 5, 6, 7})


# ---- who is live, told when a further sum opens ----

LIVE: dict[str, tuple[list[int], type[ProtocolError], str]] = {
    "a5 an id twice": ([*LISTED, 1], FaultyServerError, "distinct neighbours that dealt to it"),
    "a5 an id that no one has": ([*LISTED, 8], FaultyServerError, "distinct neighbours that dealt to it"),
    "a5 an id that dealt nothing": ([*LISTED, 7], FaultyServerError, "distinct neighbours that dealt to it"),
    "a4 itself missing": ([1, 2, 4, 5, 6], FaultyServerError, "are not this client and"),
    "a6 too few": ([1, 2, 3, 4], TooFewSurvivorsError, "3 live neighbours left, 4 needed"),
    "a6 nobody": ([], FaultyServerError, "are not this client and"),
}


@pytest.mark.parametrize(("lie", "error", "sentence"), LIVE.values(), ids=list(LIVE))
def test_a_false_list_of_live_clients_gets_no_input(lie: list[int], error: type[ProtocolError], sentence: str) -> None:
    down = told(VICTIM, OpenSum, lambda m: OpenSum(m.sum, lie))
    session = play(AGREED, down=down, loses=losing([7], ShareKeys))
    assert session.refused(VICTIM, error, sentence, after=OPENED)
    assert session.is_exact("b", {1, 2, 4, 5, 6})


@pytest.mark.parametrize(
    ("name", "sentence"), [("a", "this sum is closed for this client"), ("z", "a sum that the session does not have")]
)
def test_a3_a_sum_is_entered_once_and_only_if_it_was_agreed_on(name: str, sentence: str) -> None:
    session = play(AGREED, down=told(VICTIM, OpenSum, lambda m: OpenSum(name, m.live)))
    assert session.refused(VICTIM, UnexpectedMessageError, sentence, after=OPENED)
    assert session.is_exact("b", {1, 2, 4, 5, 6, 7})


def test_a3_a_sum_whose_input_was_lost_is_not_entered_again() -> None:
    """The input may have arrived after all: a second one would be opened by difference."""
    down = told(VICTIM, OpenSum, lambda m: OpenSum("a", m.live))
    session = play(AGREED, down=down, loses=losing([VICTIM], MaskedInput, "a"), may_return=True)
    after = [AdvertiseKeys, ShareKeys]
    assert session.refused(VICTIM, UnexpectedMessageError, "takes one input only", after=after)
