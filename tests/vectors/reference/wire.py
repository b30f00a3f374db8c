"""Frames: a version byte, then MessagePack in its one canonical form. docs/spec/wire.md, sections 1 and 2."""

from __future__ import annotations

import struct
from typing import Any

from reference.errors import MessageError

VERSION = 1
MAX_BYTES = 2**28
DEEPEST = 32
"""No message nests deeper than 7."""


def pack(value: Any) -> bytes:
    """The shortest MessagePack of nil, booleans, 64-bit floats, numbers from 0, text, bytes, lists and maps."""
    match value:
        case None:
            return b"\xc0"
        case bool():
            return b"\xc3" if value else b"\xc2"
        case float():
            return b"\xcb" + struct.pack(">d", value)
        case int():
            return _head(value, 0x00, 128, 0xCC, 0xCD, 0xCE, 0xCF)
        case str():
            return _head(len(value.encode()), 0xA0, 32, 0xD9, 0xDA, 0xDB) + value.encode()
        case bytes():
            return _head(len(value), 0x00, 0, 0xC4, 0xC5, 0xC6) + value
        case list():
            return _head(len(value), 0x90, 16, None, 0xDC, 0xDD) + b"".join(map(pack, value))
        case dict():
            items = (pack(key) + pack(item) for key, item in value.items())
            return _head(len(value), 0x80, 16, None, 0xDE, 0xDF) + b"".join(items)
    raise TypeError(f"{type(value).__name__} has no place in a message")


def _head(number: int, fixed: int, below: int, *codes: int | None) -> bytes:
    """A number in one byte if it is small enough, else behind the code of the narrowest of 1, 2, 4 or 8 bytes."""
    if number < below:
        return bytes((fixed + number,))
    for width, code in zip((1, 2, 4, 8), codes, strict=False):
        if code is not None and number < 256**width:
            return bytes((code,)) + number.to_bytes(width, "big")
    raise OverflowError("too large for a message")


def unpack(data: bytes) -> Any:
    """The one value that `data` holds, canonical or not; MessageError if it is none."""
    try:
        value, at = _value(data, 0, 0)
    except (IndexError, UnicodeDecodeError):
        raise MessageError("malformed") from None
    if at != len(data):
        raise MessageError("malformed")
    return value


def _value(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    """A value that starts at `at`, and where the next one starts."""
    if depth > DEEPEST:
        raise MessageError("malformed")
    code, at = data[at], at + 1
    match code:
        case 0xC0 | 0xC2 | 0xC3:
            return {0xC0: None, 0xC2: False, 0xC3: True}[code], at
        case 0xCA | 0xCB:
            raw, at = _bytes(data, at, 4 if code == 0xCA else 8)
            return struct.unpack(">f" if code == 0xCA else ">d", raw)[0], at
        case 0xCC | 0xCD | 0xCE | 0xCF:
            return _number(data, at, 1 << code - 0xCC)
        case 0xC4 | 0xC5 | 0xC6:
            size, at = _number(data, at, 1 << code - 0xC4)
            return _bytes(data, at, size)
        case 0xD9 | 0xDA | 0xDB:
            return _text(data, *_number(data, at, 1 << code - 0xD9))
        case 0xDC | 0xDD:
            return _list(data, *_number(data, at, 2 << code - 0xDC), depth)
        case 0xDE | 0xDF:
            return _map(data, *_number(data, at, 2 << code - 0xDE), depth)
    if code < 0x80:
        return code, at
    if code < 0x90:
        return _map(data, code - 0x80, at, depth)
    if code < 0xA0:
        return _list(data, code - 0x90, at, depth)
    if code < 0xC0:
        return _text(data, code - 0xA0, at)
    raise MessageError("malformed")  # negative numbers, extensions and the unused code


def _bytes(data: bytes, at: int, size: int) -> tuple[bytes, int]:
    if at + size > len(data):
        raise MessageError("malformed")
    return data[at : at + size], at + size


def _number(data: bytes, at: int, width: int) -> tuple[int, int]:
    raw, at = _bytes(data, at, width)
    return int.from_bytes(raw, "big"), at


def _text(data: bytes, size: int, at: int) -> tuple[str, int]:
    raw, at = _bytes(data, at, size)
    return raw.decode(), at


def _list(data: bytes, size: int, at: int, depth: int) -> tuple[list[Any], int]:
    items = []
    for _ in range(size):
        item, at = _value(data, at, depth + 1)
        items.append(item)
    return items, at


def _map(data: bytes, size: int, at: int, depth: int) -> tuple[dict[Any, Any], int]:
    items = {}
    for _ in range(size):
        key, at = _value(data, at, depth + 1)
        if type(key) is not int:
            raise MessageError("malformed")
        items[key], at = _value(data, at, depth + 1)
    return items, at
