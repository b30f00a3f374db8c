"""One party in any state is given any frame: what must hold afterwards. Attacks A3, A11, E3 and E4.

Hypothesis draws the frames in test_secagg_fuzz.py, a fuzzer that is guided by coverage in tests/fuzz.
"""

from __future__ import annotations

from functools import cache
from random import Random
from typing import Any

import msgspec
import pytest
from near import flipped, near
from worlds import SESSION, World, give, recorded, world

from securefl.crypto import Identity, Private
from securefl.errors import MessageError, ProtocolError
from securefl.secagg import Aborted, Server
from securefl.secagg.consistency import ViewSigned
from securefl.secagg.messages import Unmasking
from securefl.secagg.params import Setting
from securefl.secagg.states import Transition
from securefl.submodel import QuantizedUpdate
from securefl.submodel.messages import RoundInvitation
from securefl.wire import Codec

ANOTHER = b"another session".ljust(32)
"""Of the same clients, with the same parameters."""


# ---- what was said ----


@cache
def told(kind: str, setting: Setting, session: bytes = SESSION) -> list[tuple[bytes | None, bytes]]:
    """Client 1 before each message of the server, and the frame of that message."""
    codec, past = world(kind, setting).to_client, recorded(kind, setting, session).clients[1].past
    return [(data, codec.encode(m)) for data, m in past if not isinstance(m, QuantizedUpdate)]


@cache
def said(kind: str, setting: Setting, session: bytes = SESSION) -> list[dict[bytes, bytes]]:
    """By step and identity, the frames that the server got."""
    codec = world(kind, setting).to_server
    return [{name: codec.encode(m) for name, m in step.items()} for step in recorded(kind, setting, session).steps()]


def to_a_client(random: Random, kind: str, setting: Setting) -> tuple[bytes | None, bytes]:
    """A state of client 1, and a frame: nearly right, or one of another state or session."""
    past = told(kind, setting)
    data, expected = random.choice(past)
    return data, spoilt(random, expected, [frame for _, frame in past + told(kind, setting, ANOTHER)])


def to_the_server(random: Random, kind: str, setting: Setting) -> tuple[int, bytes, bytes]:
    """A step, one of its senders, and a frame from it, likewise."""
    steps = said(kind, setting)
    at = random.randrange(len(steps))
    sender = random.choice(sorted(steps[at]))
    others = [step[sender] for step in steps + said(kind, setting, ANOTHER)]
    return at, sender, spoilt(random, steps[at][sender], others)


def spoilt(random: Random, frame: bytes, others: list[bytes]) -> bytes:
    match random.randrange(8):
        case 0:
            return flipped(frame, random.randrange(8 * len(frame)))
        case 1:
            return random.choice(others)
    return near(random, frame, others)


def decoded(codec: Codec[Any], frame: bytes) -> Any:
    """The message, or None."""
    try:
        return codec.decode(frame)
    except MessageError:
        return None


# ---- the client ----


def check_client(kind: str, setting: Setting, data: bytes | None, frame: bytes) -> None:
    """A step of its table, taken once, with answers that can be sent; or an error of the family, and the end."""
    here = world(kind, setting)
    message = in_agreement(decoded(here.to_client, frame))
    if message is None:
        return
    client = here.wake(1, data)
    before = client.state
    try:
        answers = give(client, message)
    except ProtocolError:
        check_over(client)
        return
    assert Transition(here.place_of(before), type(message), here.place_of(client.state)) in here.client_table
    for answer in answers:
        check_answer(here, before, answer)
    with pytest.raises(ProtocolError):
        give(client, message)
    check_over(client)


def check_over(client: Any) -> None:
    """For good, and no secret of the session is left."""
    assert isinstance(client.state, Aborted)
    assert not [v for v in vars(client).values() if isinstance(v, Private) and not isinstance(v, Identity)]


def check_answer(here: World, before: Any, answer: Any) -> None:
    """It can be sent; of each neighbour it opens one secret, and of enough of them the one of survivors."""
    assert here.to_server.decode(here.to_server.encode(answer)) == answer
    if isinstance(answer, Unmasking):
        masked = before.masked if isinstance(before, ViewSigned) else before
        dealt, params = masked.ready.dealt, masked.ready.keys.setup.params
        assert answer.shares.keys() == masked.live
        kinds = [[k for k in "bm" if dealt[v].values[masked.sum, k] == share] for v, share in answer.shares.items()]
        assert all(len(kind) == 1 for kind in kinds)
        assert kinds.count(["b"]) >= params.needed - 1


def in_agreement(message: Any) -> Any:
    """An invitation whose parameters carry its plan: a server that lies sees to that."""
    if not isinstance(message, RoundInvitation):
        return message
    try:
        params = msgspec.structs.replace(message.params, sums=message.plan.sums, plan=message.plan.hash)
    except ValueError:
        return message
    return msgspec.structs.replace(message, params=params)


# ---- the server ----


def check_server(kind: str, setting: Setting, step: int, sender: bytes, frame: bytes) -> None:
    """One client sends anything, the others what they should: the step is over, and nobody else is at fault.

    If it is at fault at once, everybody else is told what they would be told if it had been lost.
    """
    here = world(kind, setting)
    message = decoded(here.to_server, frame)
    if message is None:
        return
    server = before_step(kind, setting, step)
    before = here.place_of(server.state)
    assert server.receive(sender, message) == {}
    at_fault = sender in server.faults
    outgoing = others_say(server, kind, setting, step, sender)
    assert here.place_of(server.state) in {row.next for row in here.server_table if row.place == before}
    assert set(server.faults) <= {sender}
    assert not at_fault or outgoing == told_without(kind, setting, step, sender)
    for name, total in server.results.items():
        assert all((words == opened(kind, setting)[name][segment]).all() for segment, words in total.items())


def before_step(kind: str, setting: Setting, step: int) -> Server:
    """A server that awaits everybody's message of a step."""
    server = world(kind, setting).server()
    server.start()
    for past in recorded(kind, setting).steps()[:step]:
        for name, message in past.items():
            server.receive(name, message)
    return server


def others_say(server: Server, kind: str, setting: Setting, step: int, sender: bytes) -> dict[bytes, Any]:
    """What the server says once everybody else has sent what they should."""
    outgoing: dict[bytes, Any] = {}
    for name, message in recorded(kind, setting).steps()[step].items():
        if name != sender:
            assert not outgoing
            outgoing = server.receive(name, message)
    return outgoing


@cache
def told_without(kind: str, setting: Setting, step: int, sender: bytes) -> dict[bytes, Any]:
    """What the server says at the end of a step in which one client is lost."""
    server = before_step(kind, setting, step)
    assert server.drop(sender) == {}
    return others_say(server, kind, setting, step, sender)


@cache
def opened(kind: str, setting: Setting) -> dict[str, Any]:
    """What opens if nothing goes wrong: also without one wrong answer, for the others hold enough shares."""
    return before_step(kind, setting, len(said(kind, setting))).results
