"""A server that survives being killed: every event is in a log before it takes effect, and a new process replays it.

The server is a function of its parameters, its session id and its events, so the same events give the same server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal, Protocol

from securefl.errors import ConfigurationError, MessageError, ProtocolError
from securefl.secagg import Server
from securefl.wire import Codec

Kind = Literal["start", "receive", "drop", "advance"]
Event = tuple[Kind, bytes, bytes]
"""kind, sender (empty if none), frame (empty if none)"""


class EventLog(Protocol):
    """An append-only log of one session. `securefl.store.SqliteEventLog` is one."""

    session: bytes
    """The session id, drawn when the log was made."""

    def append(self, event: Event) -> None:
        """Durable when it returns."""

    def __iter__(self) -> Iterator[Event]:
        """All events, oldest first."""


class DurableServer:
    """An engine's view of a server (`exchange.Sink`) behind an event log.

    `make(session)` makes the same fresh server every time. If the log already holds events they are replayed: `pending`
    are then the messages of the open step for clients that have not answered; send them again, or `drop` whoever is
    gone. A session that had ended stays ended.
    """

    def __init__(self, make: Callable[[bytes], Server], codec: Codec[Any], log: EventLog) -> None:
        self.server, self._codec, self._log = make(log.session), codec, log
        self.pending: dict[bytes, Any] = {}
        self._begun = False
        for event in log:
            self._replay(event)

    def start(self) -> dict[bytes, Any]:
        """See `Server`; on a resumed session the messages that are still to be answered, none if it had ended."""
        return dict(self.pending) if self._begun else self._do("start")

    def receive(self, sender: bytes, message: Any) -> dict[bytes, Any]:
        """See `Server`."""
        return self._do("receive", sender, self._codec.encode(message))

    def drop(self, sender: bytes) -> dict[bytes, Any]:
        """See `Server`."""
        return self._do("drop", sender)

    def advance(self) -> dict[bytes, Any]:
        """See `Server`."""
        return self._do("advance")

    def _do(self, kind: Kind, sender: bytes = b"", frame: bytes = b"") -> dict[bytes, Any]:
        self._log.append((kind, sender, frame))
        return self._apply(kind, sender, frame)

    def _apply(self, kind: Kind, sender: bytes, frame: bytes) -> dict[bytes, Any]:
        self._begun = True
        match kind:
            case "start":
                outgoing = self.server.start()
            case "receive":
                outgoing = self.server.receive(sender, self._decoded(frame))
            case "drop":
                outgoing = self.server.drop(sender)
            case "advance":
                outgoing = self.server.advance()
            case _:
                raise ConfigurationError("event log: damaged: an event is of no kind; begin a new session")
        self.pending = outgoing or {name: m for name, m in self.pending.items() if name in self.server.awaited}
        return outgoing

    def _replay(self, event: Event) -> None:
        try:
            self._apply(*event)
        except ProtocolError:
            self.pending = {}  # the session ended there the first time, too

    def _decoded(self, frame: bytes) -> Any:
        try:
            return self._codec.decode(frame)
        except MessageError:
            raise ConfigurationError("event log: damaged: a frame in it is no message; begin a new session") from None
