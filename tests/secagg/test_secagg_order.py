"""A client takes its steps in order, once, and is told nothing after the end. Attack A11."""

from __future__ import annotations

from typing import Any

import pytest
from sessions import A, B, agree, losing, make_client, play

from securefl.errors import LocalProtocolError, UnexpectedMessageError
from securefl.secagg import Aborted
from securefl.secagg.messages import (
    Abort,
    AdvertiseKeys,
    Delivery,
    Invitation,
    MaskedInput,
    OpenSum,
    Roster,
    ShareKeys,
    Survivors,
    Unmasking,
)

AGREED = agree(5, 3, A)
ORDER = [Invitation, Roster, Delivery, Survivors, OpenSum, Survivors]
"""What a client is told in a session of two sums."""


def recorded() -> list[Any]:
    """The messages that client 1 is told in some session."""
    session = play(agree(5, 3, A, B))
    messages = [m for u, m in session.shown if u == 1]
    assert [type(m) for m in messages] == ORDER
    return messages


@pytest.mark.parametrize("told_instead", range(len(ORDER)), ids=lambda at: f"{at} {ORDER[at].__name__}")
@pytest.mark.parametrize("at", range(len(ORDER)), ids=lambda at: f"at {at}")
def test_a11_a_step_skipped_repeated_or_moved_ends_the_session(at: int, told_instead: int) -> None:
    """What was told before is replayed from this session, what was not is taken from another."""
    if at == told_instead or (at, told_instead) == (3, 4):
        return  # in order; or the next sum opens for a client whose answer nobody waits for
    own, others = [], recorded()

    def down(client: int, message: Any) -> Any:
        if client != 1:
            return message
        own.append(message)
        if len(own) - 1 != at:
            return message
        return own[told_instead] if told_instead < at else others[told_instead]

    session = play(agree(5, 3, A, B), down=down)
    assert type(session.errors[1]) is UnexpectedMessageError
    assert isinstance(session.clients[1].state, Aborted)
    kinds = [AdvertiseKeys, ShareKeys, MaskedInput, Unmasking, MaskedInput, Unmasking]
    assert [type(m) for u, m in session.sent if u == 1] == kinds[:at]


def test_a11_one_object_serves_one_session() -> None:
    client = make_client(1, AGREED)
    client.receive(Invitation(bytes(32), AGREED))
    with pytest.raises(UnexpectedMessageError):
        client.receive(Invitation(bytes([1]) * 32, AGREED))
    assert isinstance(client.state, Aborted)


def test_an_abort_of_the_server_ends_the_session_in_any_state() -> None:
    for at in range(len(ORDER)):
        told_so_far: list[Any] = []

        def down(client: int, message: Any, at: int = at, so_far: list[Any] = told_so_far) -> Any:
            if client != 1:
                return message
            so_far.append(message)
            return Abort("a reason of the server's") if len(so_far) - 1 == at else message

        session = play(agree(5, 3, A, B), down=down, loses=losing([], Abort))
        assert session.clients[1].state == Aborted("the server ended the session")
        with pytest.raises(LocalProtocolError, match=r"this session is over: the server ended the session$"):
            session.clients[1].receive(Abort("again"))
