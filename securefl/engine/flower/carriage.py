"""Frames of the protocol inside Flower's messages: one record of bytes each way. Nothing here reads a frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, cast, get_args

from flwr.app import ConfigRecord, Error, Message, RecordDict

from securefl.errors import MessageError
from securefl.wire import MAX_BYTES

ACTION: Final = "securefl"
MESSAGE_TYPE: Final = f"query.{ACTION}"
RECORD: Final = "securefl"
"""The record that is ours in a message's content; all others are the application's."""
REFUSED: Final = 200
"""Code of an error reply in which a client says why it ended its part. Flower's own codes are below 100."""

Kind = Literal["enrolment", "sums", "round", "latest"]
KINDS: Final[tuple[str, ...]] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a server sends: the frame, and which session it belongs to, so that a late one disturbs no other."""

    kind: Kind
    session: bytes
    frame: bytes
    plan: bytes = b""
    """With the invitation to plain sums: what is summed, see `arrays.ArraysPlan`."""
    registry: bytes = b""
    """With an invitation in a simulation: the identity keys of all clients, one after the other."""

    def content(self, request: RecordDict | None = None) -> RecordDict:
        """The content of a message: the application's records, and ours."""
        records = RecordDict(dict(request or {}))
        records[RECORD] = ConfigRecord({name: getattr(self, name) for name in self.__slots__})
        return records


def open_envelope(content: RecordDict, max_bytes: int = MAX_BYTES) -> Envelope:
    """The envelope in a message, checked; `MessageError` if there is none, or a frame above `max_bytes`."""
    record = _record(content)
    kind, session = record.get("kind"), record.get("session")
    if kind not in KINDS or not isinstance(session, bytes) or len(session) != 32:
        raise MessageError("a message without a kind or a session id of this protocol")
    parts: Any = [record.get(name) for name in ("frame", "plan", "registry")]
    if not all(isinstance(part, bytes) for part in parts):
        raise MessageError("a message whose frame is no bytes")
    size = sum(map(len, parts))
    if size > max_bytes:
        raise MessageError(f"a frame of {size} bytes; at most {max_bytes} are accepted")
    return Envelope(cast(Kind, kind), session, *parts)


def request_of(content: RecordDict) -> RecordDict:
    """The application's records of a message."""
    return RecordDict({name: record for name, record in content.items() if name != RECORD})


def answer(frames: Sequence[bytes], message: Message) -> Message:
    """A client's reply: the frames of its answers, usually one."""
    return Message(RecordDict({RECORD: ConfigRecord({"frames": list(frames)})}), reply_to=message)


def refusal(reason: str, message: Message) -> Message:
    """A client's reply when its part is over: one sentence, which holds no secret and no byte of a peer."""
    return Message(Error(REFUSED, reason), reply_to=message)


def frames_of(reply: Message, max_bytes: int = MAX_BYTES) -> list[bytes]:
    """The frames of a reply; `MessageError` if it is none, or longer than `max_bytes`."""
    if not reply.has_content():
        raise MessageError("a reply without content")
    frames: Any = _record(reply.content).get("frames")
    if not isinstance(frames, list) or not all(isinstance(frame, bytes) for frame in frames):
        raise MessageError("a reply without frames")
    size = sum(map(len, frames))
    if size > max_bytes:
        raise MessageError(f"a reply of {size} bytes; at most {max_bytes} are accepted")
    return frames


def _record(content: RecordDict) -> ConfigRecord:
    record = content.get(RECORD)
    if not isinstance(record, ConfigRecord):
        raise MessageError(f"a message without a record {RECORD!r}")
    return record
