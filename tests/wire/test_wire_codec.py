"""The codec: what is declared goes through; anything else is a `MessageError`, and nothing but that (E3)."""

from __future__ import annotations

import re
import tracemalloc
from typing import Any

import pytest
from builds import CODECS, messages
from hypothesis import given, settings
from hypothesis import strategies as st

from securefl.errors import MessageError
from securefl.secagg import to_client, to_server
from securefl.secagg.messages import OpenSum, Unmasking
from securefl.submodel import Quantization
from securefl.wire import MAX_BYTES, VERSION, Codec

every_codec = pytest.mark.parametrize("codec", [codec for codec, _ in CODECS.values()], ids=list(CODECS))
some_codec = st.sampled_from([codec for codec, _ in CODECS.values()])
EVERY_MESSAGE = [(name, codec, kind) for name, (codec, union) in CODECS.items() for kind in union.__args__]
any_frame = st.sampled_from(list(CODECS.values())).flatmap(
    lambda pair: st.tuples(st.just(pair[0]), messages(pair[1]).map(pair[0].encode))
)

SENTENCES = re.compile(
    rf"a frame of \d+ bytes; 2 to {MAX_BYTES} are accepted|a frame of an unknown version"
    r"|a frame that is no message of this protocol|a frame that is not in canonical form"
)
"""All that a refusal may say: numbers, and no byte of the frame."""

SHARE = b"\xc4\x28" + bytes(40)
UNMASKING = b"\x93\x09\xa1a\x81\x02" + SHARE
"""Tag 9, sum "a", one share for client 2: the frame that the cases below distort."""


def accepted(codec: Codec[Any], frame: bytes) -> Any:
    """The message, or None: decoding raises nothing but `MessageError`, in words of its own."""
    try:
        message = codec.decode(frame)
    except MessageError as error:
        message, refusal = None, error
    else:
        assert codec.encode(message) == frame
        return message
    assert SENTENCES.fullmatch(str(refusal))
    assert refusal.__suppress_context__ or refusal.__context__ is None
    return message


@pytest.mark.parametrize(
    ("codec", "kind"), [pytest.param(c, kind, id=f"{name}: {kind.__name__}") for name, c, kind in EVERY_MESSAGE]
)
@settings(max_examples=25)
@given(data=st.data())
def test_every_message_comes_back(codec: Codec[Any], kind: type, data: st.DataObject) -> None:
    message = data.draw(messages(kind))
    frame = codec.encode(message)
    assert frame[0] == VERSION
    assert codec.decode(frame) == message
    assert type(codec.decode(frame)) is kind


@given(some_codec, st.binary(max_size=200) | st.binary(max_size=200).map(lambda data: bytes((VERSION,)) + data))
def test_e3_random_bytes(codec: Codec[Any], data: bytes) -> None:
    accepted(codec, data)


def mutate(frame: bytes, data: st.DataObject) -> bytes:
    """One small change: a bit, a byte, a piece put in, taken out or doubled, an end cut off."""
    at = data.draw(st.integers(0, len(frame) - 1))
    piece = frame[at : at + data.draw(st.integers(1, 9))]
    return data.draw(
        st.sampled_from(
            [
                frame[:at] + bytes((frame[at] ^ 1 << data.draw(st.integers(0, 7)),)) + frame[at + 1 :],
                frame[:at] + data.draw(st.binary(min_size=1, max_size=3)) + frame[at:],
                frame[:at] + frame[at + len(piece) :],
                frame[:at] + piece + frame[at:],
                frame[:at],
                frame[:at] + bytes((data.draw(st.integers(0x80, 0xDF)),)) + frame[at + 1 :],
            ]
        )
    )


def check_changed(drawn: tuple[Codec[Any], bytes], data: st.DataObject) -> None:
    codec, frame = drawn
    changed = mutate(frame, data)
    message = accepted(codec, changed)
    assert changed == frame or message is None or message != codec.decode(frame)


test_e3_a_changed_frame_is_another_message_or_none = given(any_frame, st.data())(check_changed)
test_e3_changed_frames_at_length = pytest.mark.slow(
    settings(max_examples=3000)(given(any_frame, st.data())(check_changed))
)


@given(any_frame, some_codec)
def test_e3_a_frame_of_another_codec(drawn: tuple[Codec[Any], bytes], other: Codec[Any]) -> None:
    accepted(other, drawn[1])


def test_the_undistorted_frame_is_accepted() -> None:
    assert accepted(to_server, b"\x01" + UNMASKING) == Unmasking("a", {2: bytes(40)})


NOT_CANONICAL = {
    "repeated map key": b"\x93\x09\xa1a\x82" + 2 * (b"\x02" + SHARE),
    "padded map key": b"\x93\x09\xa1a\x81\xcc\x02" + SHARE,
    "padded tag": b"\x93\xcc\x09\xa1a\x81\x02" + SHARE,
    "64-bit tag": b"\x93\xcf" + bytes(7) + b"\x09\xa1a\x81\x02" + SHARE,
    "long string": b"\x93\x09\xd9\x01a\x81\x02" + SHARE,
    "long bytes": b"\x93\x09\xa1a\x81\x02\xc5\x00\x28" + bytes(40),
    "long map": b"\x93\x09\xa1a\xde\x00\x01\x02" + SHARE,
    "long array": b"\xdc\x00\x03" + UNMASKING[1:],
}
NO_MESSAGE = {
    "trailing byte": UNMASKING + b"\xc0",
    "trailing message": UNMASKING + UNMASKING,
    "trailing field": b"\x94" + UNMASKING[1:] + b"\xc0",
    "missing field": b"\x92\x09\xa1a",
    "unknown tag": b"\x93\x63" + UNMASKING[2:],
    "negative tag": b"\x93\xff" + UNMASKING[2:],
    "tag of the other direction": b"\x93\x08" + UNMASKING[2:],
    "no array": b"\x81\x09\xa1a",
    "client 0": UNMASKING.replace(b"\x81\x02", b"\x81\x00"),
    "client beyond 2^24": UNMASKING.replace(b"\x81\x02", b"\x81\xce\x01\x00\x00\x01"),
    "short share": b"\x93\x09\xa1a\x81\x02\xc4\x27" + bytes(39),
    "long share": b"\x93\x09\xa1a\x81\x02\xc4\x29" + bytes(41),
    "text for bytes": b"\x93\x09\xa1a\x81\x02\xd9\x28" + b"a" * 40,
    "bytes for text": b"\x93\x09\xc4\x01a\x81\x02" + SHARE,
    "empty name": b"\x93\x09\xa0\x81\x02" + SHARE,
    "name of 33": b"\x93\x09\xd9\x21" + b"a" * 33 + b"\x81\x02" + SHARE,
    "no UTF-8": b"\x93\x09\xa1\xff\x81\x02" + SHARE,
    "a surrogate": b"\x93\x09\xa3\xed\xa0\x80\x81\x02" + SHARE,
    "an extension": b"\x93\x09\xa1a\xd4\x01\x00",
    "a timestamp": b"\x93\x09\xd6\xff" + bytes(4) + b"\x81\x02" + SHARE,
    "deep arrays": b"\x91" * 100_000,
    "deep arrays inside": b"\x93\x09\xa1a" + b"\x91" * 100_000,
    "deep maps": b"\x81\x01" * 100_000,
}


@pytest.mark.parametrize("body", NOT_CANONICAL.values(), ids=list(NOT_CANONICAL))
def test_e3_only_the_canonical_form_is_accepted(body: bytes) -> None:
    with pytest.raises(MessageError, match="not in canonical form"):
        to_server.decode(b"\x01" + body)


@pytest.mark.parametrize("body", NO_MESSAGE.values(), ids=list(NO_MESSAGE))
def test_e3_no_message(body: bytes) -> None:
    with pytest.raises(MessageError, match="no message of this protocol"):
        to_server.decode(b"\x01" + body)


@pytest.mark.parametrize("number", [b"\x02", b"\xca\x40\x00\x00\x00"], ids=["integer", "32-bit float"])
def test_e3_a_float_has_64_bits(number: bytes) -> None:
    codec: Codec[Quantization] = Codec(Quantization)
    assert codec.decode(b"\x01\x93\x08\xcb\x40" + bytes(7) + b"\x03") == Quantization(8, 2.0, 3)
    with pytest.raises(MessageError, match="canonical"):
        codec.decode(b"\x01\x93\x08" + number + b"\x03")


@pytest.mark.parametrize("version", [0, 2, 0x93, 255])
def test_e3_another_version(version: int) -> None:
    with pytest.raises(MessageError, match="unknown version"):
        to_server.decode(bytes((version,)) + UNMASKING)


def test_e3_a_frame_of_at_most_its_limit() -> None:
    frame = to_client.encode(OpenSum("a", [1, 2]))
    assert Codec(OpenSum, max_bytes=len(frame)).decode(frame) == OpenSum("a", [1, 2])
    with pytest.raises(MessageError, match=f"a frame of {len(frame)} bytes; 2 to {len(frame) - 1} are accepted"):
        Codec(OpenSum, max_bytes=len(frame) - 1).decode(frame)
    for short in (b"", b"\x01"):
        with pytest.raises(MessageError, match=f"a frame of {len(short)} bytes"):
            to_server.decode(short)


BOMBS = {
    "array": b"\xdd\xff\xff\xff\xff",
    "ids": b"\x93\x06\xa1a\xdd\xff\xff\xff\xff\x01\x02",
    "map": b"\x93\x05\xdf\xff\xff\xff\xff",
    "shares": b"\x93\x09\xa1a\xdf\xff\xff\xff\xff\x02" + SHARE,
    "bytes": b"\x93\x09\xa1a\x81\x02\xc6\xff\xff\xff\xff",
    "text": b"\x93\x09\xdb\xff\xff\xff\xff",
    "segments": b"\x95\x07\xa1a\xdd\x0f\xff\xff\xff\xc4\x00",
}


@every_codec
@pytest.mark.parametrize("body", BOMBS.values(), ids=list(BOMBS))
def test_e3_a_length_that_is_a_lie_allocates_nothing(codec: Codec[Any], body: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(MessageError):
            codec.decode(b"\x01" + body)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_messages_are_frozen_and_their_tags_distinct() -> None:
    types = {kind for _, union in CODECS.values() for kind in union.__args__}
    tags = [kind.__struct_config__.tag for kind in types]
    assert len(set(tags)) == len(types) == 17
    assert all(kind.__struct_config__.frozen for kind in types)
