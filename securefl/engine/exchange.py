"""The smallest engine: carries encoded messages between one server and its clients in this process.

It loses what it is told to lose, and it counts bytes. Every message goes through the codec both ways, so what is
exchanged here is what a network would carry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from securefl.errors import ProtocolError
from securefl.wire import Codec


class Node(Protocol):
    """A client as an engine sees it."""

    def receive(self, message: Any) -> list[Any]:
        """Take a message, return the answers; a `ProtocolError` ends the client's part."""


class Sink(Protocol):
    """A server as an engine sees it: `secagg.Server` or one that embeds it."""

    def start(self) -> dict[bytes, Any]:
        """The first messages."""

    def receive(self, sender: bytes, message: Any) -> dict[bytes, Any]:
        """Take a message; what to send when it was the last one awaited."""

    def drop(self, sender: bytes) -> dict[bytes, Any]:
        """A client is gone for this step."""


def keep_everything(_sender: bytes, _message: Any) -> bool:
    """Loss rule: nothing is lost."""
    return False


@dataclass
class Exchange:
    """One session in one process.

    `loses(client, message)` decides whether a client's answer is lost on its way to the server; the server is told at
    once, as an engine with a deadline would. A client is then gone for the session, unless `may_return`.
    `on_sent(client, message, bytes, up)` sees every delivered frame.
    """

    server: Sink
    nodes: Mapping[bytes, Node]
    to_client: Codec[Any]
    to_server: Codec[Any]
    loses: Callable[[bytes, Any], bool] = keep_everything
    on_sent: Callable[[bytes, Any, int, bool], None] = lambda *_: None
    may_return: bool = False
    gone: set[bytes] = field(default_factory=set)
    """Clients that are lost for the session."""
    refusals: dict[bytes, str] = field(default_factory=dict)
    """Clients that ended the session themselves, and why."""

    def run(self) -> None:
        """Until the server has nothing more to say. `TooFewSurvivorsError` when it cannot go on."""
        outgoing = self.server.start()
        while outgoing:
            following: dict[bytes, Any] = {}
            for name, message in outgoing.items():
                following |= self._deliver(name, message)
            outgoing = following

    def _deliver(self, name: bytes, message: Any) -> dict[bytes, Any]:
        if name in self.gone:
            return self.server.drop(name)
        frame = self.to_client.encode(message)
        self.on_sent(name, message, len(frame), False)
        try:
            answers = self.nodes[name].receive(self.to_client.decode(frame))
        except ProtocolError as error:
            self.refusals[name] = str(error)
            self.gone.add(name)
            return self.server.drop(name)
        following: dict[bytes, Any] = {}
        for answer in answers:
            following |= self._send(name, answer)
        return following

    def _send(self, name: bytes, answer: Any) -> dict[bytes, Any]:
        if self.loses(name, answer):
            if not self.may_return:
                self.gone.add(name)
            return self.server.drop(name)
        frame = self.to_server.encode(answer)
        self.on_sent(name, answer, len(frame), True)
        return self.server.receive(name, self.to_server.decode(frame))
