"""Values as JSON: bytes as hex, sets as sorted lists, keys as text (the name of a secret as two words)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reference import errors


def plain(value: Any) -> Any:
    match value:
        case bytes():
            return value.hex()
        case dict():
            return {key(k): plain(v) for k, v in value.items()}
        case set() | frozenset():
            return sorted(value)
        case list() | tuple():
            return [plain(item) for item in value]
        case None | bool() | int() | float() | str():
            return value
    raise TypeError(f"{type(value).__name__} has no place in a vector")


def key(name: Any) -> str:
    return " ".join(name) if isinstance(name, tuple) else str(name)


def refusal(check: Callable[[], Any]) -> str:
    """The name of the error with which the reference refuses; a vector that it takes is no negative vector."""
    try:
        check()
    except (errors.ProtocolError, errors.ConfigurationError, ValueError) as error:
        return type(error).__name__
    raise RuntimeError("the reference takes what this vector says is refused")
