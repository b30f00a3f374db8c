"""Values that must not escape by accident."""

from __future__ import annotations

from typing import NoReturn


class Private:
    """Base of every state that holds secrets: it prints as its class name only and cannot be pickled or copied."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: private>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} holds secrets: it cannot be pickled or copied")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        self.__reduce__()
