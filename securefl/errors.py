"""Every exception the package raises on purpose. The class answers one question: who is at fault?"""

from __future__ import annotations

__all__ = [
    "SecureFLError",
    "ConfigurationError",
    "TransportError",
    "ProtocolError",
    "LocalProtocolError",
    "TooFewSurvivorsError",
    "RemoteProtocolError",
    "MessageError",
    "UnexpectedMessageError",
    "FaultyClientError",
    "FaultyServerError",
]


class SecureFLError(Exception):
    """Root of the family: ``except SecureFLError`` catches everything raised on purpose."""


class ConfigurationError(SecureFLError, ValueError):
    """A setting or an input file is wrong. The text names the setting and how to change it."""


class TransportError(SecureFLError):
    """A message could not be carried. Nothing is known about its sender."""


class ProtocolError(SecureFLError):
    """A session cannot go on; see the subclass for whose fault it is."""


class LocalProtocolError(ProtocolError):
    """The calling code took a step out of order or with a bad argument."""


class TooFewSurvivorsError(ProtocolError):
    """Fewer clients are left than the threshold allows: nobody is to blame, and nothing was released."""

    def __init__(self, alive: int, needed: int, what: str = "clients") -> None:
        super().__init__(f"{alive} {what} left, {needed} needed")
        self.alive, self.needed, self.what = alive, needed, what

    def __reduce__(self) -> tuple[type[TooFewSurvivorsError], tuple[int, int, str]]:
        return type(self), (self.alive, self.needed, self.what)


class RemoteProtocolError(ProtocolError):
    """The other side broke the protocol."""


class MessageError(RemoteProtocolError):
    """Bytes that are no message: malformed, too large, or of an unknown version."""


class UnexpectedMessageError(RemoteProtocolError):
    """A well-formed message that does not belong here: repeated, skipped or out of order."""


class FaultyClientError(RemoteProtocolError):
    """One client is provably at fault (raised and handled by the server: it is dropped, the session goes on)."""

    def __init__(self, client: int | str, reason: str) -> None:
        super().__init__(f"client {client}: {reason}")
        self.client, self.reason = client, reason

    def __reduce__(self) -> tuple[type[FaultyClientError], tuple[int | str, str]]:
        return type(self), (self.client, self.reason)


class FaultyServerError(RemoteProtocolError):
    """The server is provably at fault: the client stops and releases nothing."""
