"""The named errors of docs/spec/session.md: the class says who is at fault."""

from __future__ import annotations


class ProtocolError(Exception):
    pass


class ConfigurationError(Exception):
    """Parameters that cannot be kept. `setting`: which to change."""

    def __init__(self, setting: str) -> None:
        super().__init__(setting)
        self.setting = setting


class TooFewSurvivorsError(ProtocolError):
    """Nobody's fault: fewer clients are left than the threshold allows."""


class MessageError(ProtocolError):
    """Bytes that are no message. `reason`: length, version, malformed or not canonical."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class CryptoError(MessageError):
    """A key, signature or box that is not what it should be."""


class UnexpectedMessageError(ProtocolError):
    """A message that does not belong here."""


class FaultyClientError(ProtocolError):
    """A client is provably at fault."""

    def __init__(self, client: int, reason: str) -> None:
        super().__init__(f"client {client}: {reason}")
        self.client = client


class FaultyServerError(ProtocolError):
    """The server is provably at fault."""
