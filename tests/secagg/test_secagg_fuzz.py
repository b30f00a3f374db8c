"""Any frame, to a client and a server in any state: accepted, or refused in the family of our errors.

What must hold is said in anything.py. Attacks A3, A10, A11, E3 and E4.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from anything import before_step, check_client, check_server, decoded, said, to_a_client, to_the_server, told
from builds import CODECS, messages
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import msgpack
from near import nodes, put, tree_of
from worlds import WORLDS, world

from securefl.errors import ProtocolError

CODEC_NAMES = {"sums": "secagg", "round": "submodel"}
WORD = "a peer's word"

every_world = pytest.mark.parametrize(("kind", "setting"), WORLDS)
randoms = st.randoms(use_true_random=False)
few, many = (settings(max_examples=n, suppress_health_check=[HealthCheck.too_slow]) for n in (30, 500))


def frames(kind: str, direction: str) -> st.SearchStrategy[bytes]:
    """Whatever the types allow."""
    codec, union = CODECS[f"{CODEC_NAMES[kind]} {direction}"]
    return messages(union).map(codec.encode)


@every_world
@few
@given(random=randoms)
def test_e3_a10_a_client_takes_what_is_nearly_right_once_or_is_over(kind: str, setting: Any, random: Any) -> None:
    check_client(kind, setting, *to_a_client(random, kind, setting))


@every_world
@few
@given(random=randoms)
def test_e4_a_server_that_is_sent_what_is_nearly_right_goes_on(kind: str, setting: Any, random: Any) -> None:
    check_server(kind, setting, *to_the_server(random, kind, setting))


@pytest.mark.slow
@every_world
@many
@given(random=randoms)
def test_e3_e4_what_is_nearly_right_at_length(kind: str, setting: Any, random: Any) -> None:
    check_client(kind, setting, *to_a_client(random, kind, setting))
    check_server(kind, setting, *to_the_server(random, kind, setting))


@every_world
@few
@given(data=st.data())
def test_e3_e4_any_message_that_the_types_allow(kind: str, setting: Any, data: st.DataObject) -> None:
    suspended, _ = data.draw(st.sampled_from(told(kind, setting)))
    check_client(kind, setting, suspended, data.draw(frames(kind, "to client")))
    step = data.draw(st.integers(0, len(said(kind, setting)) - 1))
    sender = data.draw(st.sampled_from(sorted(said(kind, setting)[step])))
    check_server(kind, setting, step, sender, data.draw(frames(kind, "to server")))


# ---- what errors say ----


def with_a_word(frame: bytes) -> Iterator[bytes]:
    """The frame with a peer's word in the place of each of its texts and byte strings, one at a time."""
    tree = tree_of(frame)
    for path, value in nodes(tree):
        if isinstance(value, str | bytes):
            word: Any = WORD if isinstance(value, str) else WORD.encode().ljust(len(value), b"!")
            yield frame[:1] + msgpack.encode(put(tree, path, word))


def refusal(client: Any, message: Any) -> str:
    """What a client says if it refuses a message."""
    try:
        client.receive(message)
    except ProtocolError as error:
        return str(error)
    return ""


@every_world
def test_no_error_of_a_client_quotes_the_server(kind: str, setting: Any) -> None:
    here = world(kind, setting)
    tried = [(data, decoded(here.to_client, f)) for data, frame in told(kind, setting) for f in with_a_word(frame)]
    refusals = {refusal(here.wake(1, data), message) for data, message in tried if message is not None}
    assert not [text for text in refusals if WORD in text]
    assert len(refusals) > 5


@every_world
def test_no_fault_at_a_server_quotes_a_client(kind: str, setting: Any) -> None:
    here, faults, sender = world(kind, setting), set[str](), world(kind, setting).name(1)
    for step, past in enumerate(said(kind, setting)):
        for frame in with_a_word(past[sender]):
            message = decoded(here.to_server, frame)
            if message is not None:
                server = before_step(kind, setting, step)
                server.receive(sender, message)
                faults |= {*server.faults.values()}
    assert not [text for text in faults if WORD in text]
    assert len(faults) > 3
