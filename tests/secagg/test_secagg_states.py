"""The tables of states.py against the code: every state meets every message. Attacks A11, E2."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from worlds import WORLDS, Record, World, give, recorded, world

from securefl import secagg, submodel
from securefl.errors import LocalProtocolError, ProtocolError, UnexpectedMessageError
from securefl.secagg import Aborted, Server
from securefl.secagg.client import Invited
from securefl.secagg.keys import KeysAdvertised
from securefl.secagg.messages import Abort
from securefl.secagg.states import Place, Transition, following, places
from securefl.submodel import QuantizedUpdate

ROOT = Path(__file__).parents[2]
MESSAGES: dict[str, tuple[set[type], set[type]]] = {
    "sums": (set(get_args(secagg.messages.ToClient)), set(get_args(secagg.messages.ToServer))),
    "round": (
        {*get_args(submodel.messages.ToClient), QuantizedUpdate},
        set(get_args(submodel.messages.ToServer)),
    ),
}
"""By kind of session: everything that a client can be given, and everything that a server can be sent."""

every_world = pytest.mark.parametrize(("kind", "setting"), WORLDS)


def given_to(client: int, kind: str, record: Record) -> list[Any]:
    """What a client was given in a session; types that did not occur are those of a malicious session."""
    own = [message for _, message in record.clients[client].past] + [Abort("")]
    others = [message for _, message in recorded(kind, "malicious").clients[client].past]
    return own + [message for message in others if type(message) not in {type(m) for m in own}]


def sent_by(name: bytes, kind: str, record: Record) -> list[Any]:
    """The same of what it sent."""
    own = [message for sender, message in record.sent if sender == name]
    others = [message for sender, message in recorded(kind, "malicious").sent if sender == name]
    return own + [message for message in others if type(message) not in {type(m) for m in own}]


# ---- the client ----


def try_everything(here: World, data: bytes | None, messages: list[Any]) -> Iterator[tuple[Transition, bytes | None]]:
    """Give one state each message: where it led, and the suspended client if it is not over."""
    for message in messages:
        client = here.wake(1, data)
        before = here.place_of(client.state)
        try:
            give(client, message)
        except ProtocolError as error:
            check_refusal(here, client, before, message, error)
            continue
        after = here.place_of(client.state)
        yield Transition(before, type(message), after), None if after is Aborted else client.suspend()


def check_refusal(here: World, client: Any, before: Place, message: Any, error: ProtocolError) -> None:
    if isinstance(message, QuantizedUpdate):  # the application's own mistake: nothing has happened
        assert type(error) is LocalProtocolError
        assert here.place_of(client.state) == before
        return
    assert client.state == Aborted(str(error))
    if not following(here.client_table, before, type(message)):
        assert type(error) is UnexpectedMessageError


@every_world
def test_a11_a_client_takes_what_its_table_holds_and_nothing_else(kind: str, setting: Any) -> None:
    here, record = world(kind, setting), recorded(kind, setting)
    messages = given_to(1, kind, record)
    assert {type(message) for message in messages} == MESSAGES[kind][0]
    found: set[Transition] = set()
    waiting: list[bytes | None] = [None, record.clients[1].past[1][0]]  # fresh, and with the keys that the roster shows
    for _ in range(50):  # a session ends: what goes on for longer goes in a circle
        if not waiting:
            break
        for transition, data in try_everything(here, waiting.pop(), messages):
            found.add(transition)
            if transition.next not in (Aborted, KeysAdvertised):
                waiting.append(data)
    assert not waiting
    assert found == set(here.client_table)
    assert len(found) == len(here.client_table)


@every_world
def test_a11_an_aborted_client_takes_nothing(kind: str, setting: Any) -> None:
    here = world(kind, setting)
    assert Invited in places(here.client_table)
    for message in given_to(1, kind, recorded(kind, setting)):
        client = here.wake(1, recorded(kind, setting).clients[1].past[2][0])
        client.abort("a test")
        with pytest.raises(LocalProtocolError):
            give(client, message)
        assert client.state == Aborted("a test")
        assert not following(here.client_table, Aborted, type(message))


# ---- the server ----


def driven(here: World, record: Record, step: int) -> Server:
    """A server that awaits only client 1's message of a step."""
    server, steps = here.server(), record.steps()
    server.start()
    for past in steps[:step]:
        for name, message in past.items():
            server.receive(name, message)
    for name, message in (steps[step] if step < len(steps) else {}).items():
        if name != here.name(1):
            assert server.receive(name, message) == {}
    return server


@every_world
def test_e4_a_server_takes_what_its_table_holds_and_drops_who_sends_anything_else(kind: str, setting: Any) -> None:
    here, record = world(kind, setting), recorded(kind, setting)
    messages = sent_by(here.name(1), kind, record)
    assert {type(message) for message in messages} == MESSAGES[kind][1]
    found = set()
    for step in range(len(record.steps())):
        for message in messages:
            server = driven(here, record, step)
            before = here.place_of(server.state)
            assert server.awaited == {here.name(1)}
            server.receive(here.name(1), message)
            after = here.place_of(server.state)
            if here.name(1) not in server.faults:
                found.add(Transition(before, type(message), after))
            assert after in {
                row.next for row in here.server_table if row.place == before
            }  # either way the step is over
    assert found == set(here.server_table)
    assert len(found) == len(here.server_table)


@every_world
def test_e2_a_server_that_awaits_nobody_listens_to_nobody(kind: str, setting: Any) -> None:
    here, record = world(kind, setting), recorded(kind, setting)
    resting = driven(here, record, len(record.steps()))
    for server in (here.server(), resting):
        before = server.state
        for message in sent_by(here.name(1), kind, record):
            assert server.receive(here.name(1), message) == {}
        assert server.state is before
        assert not server.faults


# ---- the page ----


def test_the_page_of_diagrams_is_drawn_from_the_tables() -> None:
    drawn = runpy.run_path(str(ROOT / "docs" / "draw_states.py"))
    assert drawn["PAGE"].read_text() == drawn["page"](), "run python docs/draw_states.py"
