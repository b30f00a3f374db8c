"""The smallest engine: carries encoded messages between one server and its clients on this machine.

It loses what it is told to lose, and it counts bytes. Every message goes through the codec both ways, so what is
exchanged here is what a network would carry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from securefl.errors import MessageError, ProtocolError
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


class Reply(NamedTuple):
    """What came back from one client: frames, or the reason why it ended its part."""

    name: bytes
    frames: list[bytes]
    refusal: str | None = None


class Carrier(Protocol):
    """Brings frames to clients and their answers back, in whatever order they come."""

    def deliver(self, frames: Mapping[bytes, bytes]) -> Iterator[Reply]:
        """One reply for each frame, by client."""


@dataclass(frozen=True, slots=True)
class InProcess:
    """A carrier to clients that live in this process."""

    nodes: Mapping[bytes, Node]
    to_client: Codec[Any]
    to_server: Codec[Any]

    def deliver(self, frames: Mapping[bytes, bytes]) -> Iterator[Reply]:
        """Hand over one frame after the other."""
        for name, frame in frames.items():
            try:
                answers = self.nodes[name].receive(self.to_client.decode(frame))
            except ProtocolError as error:
                yield Reply(name, [], str(error))
            else:
                yield Reply(name, [self.to_server.encode(answer) for answer in answers])


def keep_everything(_sender: bytes, _message: Any) -> bool:
    """Loss rule: nothing is lost."""
    return False


@dataclass
class Exchange:
    """One session.

    `loses(client, message)` decides whether a client's answer is lost on its way to the server; the server is told at
    once, as an engine with a deadline would. A client is then gone for the session, unless `may_return`.
    `on_sent(client, message, bytes, up)` sees every delivered frame.
    """

    server: Sink
    clients: Mapping[bytes, Node] | Carrier
    to_client: Codec[Any]
    to_server: Codec[Any]
    loses: Callable[[bytes, Any], bool] = keep_everything
    on_sent: Callable[[bytes, Any, int, bool], None] = lambda *_: None
    may_return: bool = False
    gone: set[bytes] = field(default_factory=set)
    """Clients that are lost for the session."""
    refusals: dict[bytes, str] = field(default_factory=dict)
    """Clients that ended the session themselves, or whose frame was no message, and why."""

    def run(self) -> None:
        """Until the server has nothing more to say. `TooFewSurvivorsError` when it cannot go on."""
        carrier = self._carrier()
        outgoing = self.server.start()
        while outgoing:
            following: dict[bytes, Any] = {}
            for name in outgoing.keys() & self.gone:
                following |= self.server.drop(name)
            frames = {name: self._down(name, m) for name, m in outgoing.items() if name not in self.gone}
            for reply in carrier.deliver(frames):
                following |= self._take(reply)
            outgoing = following

    def _carrier(self) -> Carrier:
        if isinstance(self.clients, Mapping):
            return InProcess(self.clients, self.to_client, self.to_server)
        return self.clients

    def _down(self, name: bytes, message: Any) -> bytes:
        frame = self.to_client.encode(message)
        self.on_sent(name, message, len(frame), False)
        return frame

    def _take(self, reply: Reply) -> dict[bytes, Any]:
        if reply.refusal is not None:
            self.refusals[reply.name] = reply.refusal
            self.gone.add(reply.name)
            return self.server.drop(reply.name)
        following: dict[bytes, Any] = {}
        for frame in reply.frames:
            following |= self._up(reply.name, frame)
        return following

    def _up(self, name: bytes, frame: bytes) -> dict[bytes, Any]:
        try:
            answer = self.to_server.decode(frame)
        except MessageError as error:
            self.refusals[name] = str(error)
            self.gone.add(name)
            return self.server.drop(name)
        if self.loses(name, answer):
            if not self.may_return:
                self.gone.add(name)
            return self.server.drop(name)
        self.on_sent(name, answer, len(frame), True)
        return self.server.receive(name, answer)
