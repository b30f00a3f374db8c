"""A suspended session of every state, damaged: refused in one sentence, or a state that can be suspended. E3."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import msgspec
import pytest
from anything import ANOTHER, told
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from near import flipped, near, nodes, put
from worlds import SESSION, WORLDS, world

from securefl.errors import LocalProtocolError

every_world = pytest.mark.parametrize(("kind", "setting"), WORLDS)
randoms = st.randoms(use_true_random=False)
few = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])


def suspended(kind: str, setting: Any, session: bytes = SESSION) -> list[bytes]:
    """Client 1, in each state in which it can be suspended."""
    return [data for data, _ in told(kind, setting, session) if data is not None]


def check_resumed(kind: str, setting: Any, data: bytes) -> bool:
    """Whether a fresh client takes these bytes up; it then is in a state of its table, and can be suspended again."""
    here = world(kind, setting)
    client = here.wake(1, None)
    try:
        client.resume(data)
    except LocalProtocolError:
        return False
    assert here.place_of(client.state) in {row.place for row in here.client_table}
    again = client.suspend()
    here.wake(1, again)
    return True


def damaged(random: Random, data: bytes, others: list[bytes]) -> bytes:
    """A changed place: of the bytes, of the tree they hold, or of the bytes within that tree, which hold another."""
    if random.random() < 0.2:
        return flipped(data, random.randrange(8 * len(data)))
    tree = msgspec.msgpack.decode(data)
    if random.random() < 0.7 and isinstance(tree, list) and isinstance(tree[-1], bytes):
        inner = [msgspec.msgpack.decode(other)[-1] for other in others]
        return msgspec.msgpack.encode([*tree[:-1], damaged(random, tree[-1], inner)])
    return near(random, b"\0" + data, [b"\0" + other for other in others])[1:]


@every_world
def test_what_is_not_damaged_is_taken_up(kind: str, setting: Any) -> None:
    states = suspended(kind, setting)
    assert len(set(states)) > 3
    assert all(check_resumed(kind, setting, data) for data in states)


@every_world
@few
@given(random=randoms)
def test_e3_a_damaged_session_is_refused_or_is_one(kind: str, setting: Any, random: Random) -> None:
    states = suspended(kind, setting)
    others = states + suspended(kind, setting, ANOTHER)
    check_resumed(kind, setting, damaged(random, random.choice(states), others))


@every_world
@few
@given(at=st.integers(0, 1 << 20), byte=st.integers(0, 255), random=randoms)
def test_e3_a_session_cut_or_with_another_byte_is_refused_or_is_one(
    kind: str, setting: Any, at: int, byte: int, random: Random
) -> None:
    data = random.choice(suspended(kind, setting))
    at %= len(data)
    check_resumed(kind, setting, data[:at] + bytes((byte,)) + data[at + 1 :])
    assert not check_resumed(kind, setting, data[:at])


def with_a_bomb(data: bytes, bomb: bytes) -> Iterator[bytes]:
    """The bytes with a bomb in each place of their tree, and of the trees within it."""
    tree = msgspec.msgpack.decode(data)
    for path, value in nodes(tree):
        yield msgspec.msgpack.encode(put(tree, path, msgspec.Raw(bomb)))
        if path == (len(tree) - 1,) and isinstance(value, bytes):
            yield from (msgspec.msgpack.encode([*tree[:-1], inner]) for inner in with_a_bomb(value, bomb))


@pytest.mark.parametrize("kind", ["sums", "round"])
@pytest.mark.parametrize(
    "bomb", [b"\x91" * 100_000, b"\xdd\x7f\xff\xff\xff", b"\xc6\x7f\xff\xff\xff"], ids=["deep", "items", "bytes"]
)
def test_e3_deep_and_long_bytes_are_refused(kind: str, bomb: bytes) -> None:
    for data in with_a_bomb(suspended(kind, "malicious")[-1], bomb):
        assert not check_resumed(kind, "malicious", data)
