"""The one codec: a version byte, then MessagePack of a closed set of frozen, tagged structs.

A decoder accepts bytes of at most its limit, of the declared types and bounds, in canonical form only (what it
decodes encodes to the same bytes: no repeated map key, no padded integer, no trailing field). Anything else is a
`MessageError` whose text holds none of the bytes.
"""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar

import msgspec

from securefl.errors import MessageError

VERSION = 1
MAX_BYTES = 1 << 28
"""No frame is longer, whatever a session's parameters say."""

ClientId = Annotated[int, msgspec.Meta(ge=1, le=1 << 24)]
Bytes32 = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
Bytes64 = Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=32)]

T = TypeVar("T")


class Message(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Base of every wire message. Subclasses carry a distinct integer tag."""


class Codec(Generic[T]):
    """Encodes and decodes one closed union of messages."""

    def __init__(self, union: Any, max_bytes: int = MAX_BYTES) -> None:
        self._decoder: msgspec.msgpack.Decoder[T] = msgspec.msgpack.Decoder(union)
        self._encoder = msgspec.msgpack.Encoder()
        self._max_bytes = max_bytes

    def encode(self, message: T) -> bytes:
        """The frame of a message."""
        return bytes((VERSION,)) + self._encoder.encode(message)

    def decode(self, frame: bytes) -> T:
        """The message of a frame, or `MessageError`; never anything else."""
        if not 2 <= len(frame) <= self._max_bytes:
            raise MessageError(f"a frame of {len(frame)} bytes; 2 to {self._max_bytes} are accepted")
        if frame[0] != VERSION:
            raise MessageError("a frame of an unknown version")
        body = memoryview(frame)[1:]
        try:
            message = self._decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OverflowError):
            raise MessageError("a frame that is no message of this protocol") from None
        if self._encoder.encode(message) != body:
            raise MessageError("a frame that is not in canonical form")
        return message
