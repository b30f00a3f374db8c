"""Carries sessions over Flower's grid: every server machine as it is, many at a time, each at its own pace.

A step of a session ends when everybody has answered, or at its deadline. Whoever did not answer is dropped from the
step, and left out of the following ones until a late answer shows that it lives.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flwr.app import RecordDict

from securefl.engine.exchange import keep_everything
from securefl.engine.flower.carriage import Envelope, Kind
from securefl.engine.flower.post import Pause, Post, Reply
from securefl.engine.flower.watching import Step, Watch
from securefl.errors import MessageError, ProtocolError
from securefl.secagg import Server
from securefl.secagg.messages import Abort
from securefl.wire import MAX_BYTES, Codec

Outgoing = dict[bytes, Any]


@dataclass(frozen=True)
class Attached:
    """What goes beside a frame: parts of the envelope, and the application's records."""

    plan: bytes = b""
    registry: bytes = b""
    request: RecordDict | None = None


NOTHING = Attached()


@dataclass
class Session:
    """One server and the nodes of its clients, by identity key."""

    kind: Kind
    server: Server
    nodes: Mapping[bytes, int]
    to_client: Codec[Any]
    to_server: Codec[Any]
    attach: Callable[[Any], Attached] = lambda _: NOTHING
    max_bytes: int = MAX_BYTES
    loses: Callable[[bytes, Any], bool] = keep_everything
    """Loss rule of a simulation: whether an answer is lost on its way."""
    on_sent: Callable[[bytes, Any, int, bool], None] = lambda *_: None
    """Sees every frame that arrives: client, message, bytes, whether it goes up."""
    left: dict[bytes, str] = field(default_factory=dict)
    """Clients that are not heard any more, and why."""
    outcome: ProtocolError | None = None
    """Why it could not finish."""
    step: Step | None = None
    began: float = field(default_factory=time.monotonic)

    def content(self, name: bytes, message: Any) -> tuple[RecordDict, int]:
        """A message of the server as Flower carries it, and its bytes."""
        beside = self.attach(message)
        frame = self.to_client.encode(message)
        self.on_sent(name, message, len(frame), False)
        envelope = Envelope(self.kind, self.server.session, frame, beside.plan, beside.registry)
        return envelope.content(beside.request), len(frame) + len(beside.plan) + len(beside.registry)

    def take(self, name: bytes, reply: Reply) -> Outgoing:
        """Give a reply to the server; what it wants sent now. A bad reply drops its sender."""
        try:
            frames = reply.frames(self.max_bytes)
            answers = [self.to_server.decode(frame) for frame in frames]
        except MessageError as error:
            return self._refuse(name, str(error), "failed" if reply.failed else "refused")
        if len(answers) != 1:
            return self._refuse(name, f"{len(answers)} answers to one message")
        if self.loses(name, answers[0]):
            return self._refuse(name, "its answer was lost", "late")
        self.on_sent(name, answers[0], len(frames[0]), True)
        outgoing = self.server.receive(name, answers[0])
        if name in self.server.faults:
            self.left[name] = self.server.faults[name]
        self._count(len(frames[0]), "refused" if name in self.left else "")
        return outgoing

    def lose(self, name: bytes, how: str, reason: str) -> Outgoing:
        """A client is gone for this step."""
        self.left.setdefault(name, reason)
        if self.step is not None:
            self.step.lost[how] += 1
        return self.server.drop(name)

    def _refuse(self, name: bytes, reason: str, how: str = "refused") -> Outgoing:
        self.left[name] = reason
        self._count(0, how)
        return self.server.drop(name)

    def _count(self, size: int, lost: str = "") -> None:
        if self.step is not None:
            self.step.heard(size, lost)


class Driver:
    """Runs sessions to their ends. `deadline`: seconds that a step may take."""

    def __init__(self, post: Post, deadline: float, watch: Watch) -> None:
        self._post, self._deadline, self._watch = post, deadline, watch
        self._waiting: dict[str, tuple[Session, bytes, float]] = {}
        """By message: whose answer is awaited, and until when."""
        self._late: dict[str, tuple[Session, bytes]] = {}

    def run(self, sessions: Sequence[Session]) -> None:
        """Until no session has anything more to say; how each ended stands in it."""
        for session in sessions:
            self._turn(session, session.server.start)
        pause = Pause()
        while self._waiting:
            replies = self._post.fetch([*self._waiting, *self._late])
            for message, reply in replies:
                self._arrived(message, reply)
            self._expire()
            if self._waiting:
                nearest = min(due for *_, due in self._waiting.values())
                pause(came=bool(replies), until=nearest, waiting=len(self._waiting))
        for session in sessions:
            self._release(session)

    def _arrived(self, message: str, reply: Reply) -> None:
        if message in self._waiting:
            session, name, _ = self._waiting.pop(message)
            self._turn(session, lambda: session.take(name, reply))
        elif message in self._late:
            session, name = self._late.pop(message)
            if reply.message is not None and reply.message.has_content():
                session.left.pop(name, None)  # too late for its step; for the next one it is back

    def _expire(self) -> None:
        now, reason = time.monotonic(), f"no answer in {self._deadline:g} s"
        for message, (session, name, due) in list(self._waiting.items()):
            if due <= now and message in self._waiting:
                del self._waiting[message]
                self._late[message] = session, name
                self._turn(session, lambda s=session, n=name: s.lose(n, "late", reason))  # type: ignore[misc]

    def _turn(self, session: Session, act: Callable[[], Outgoing]) -> None:
        """A turn of one server. When it cannot go on, its session is over and the others are not."""
        try:
            outgoing = act()
            while outgoing:
                self._close_step(session)
                outgoing = self._send(session, outgoing)
        except ProtocolError as error:
            session.outcome = error
        if session.outcome is not None or not session.server.awaited:
            self._end(session)

    def _send(self, session: Session, outgoing: Outgoing) -> Outgoing:
        """The messages of a step; what follows if nobody is left to wait for."""
        session.step = step = Step(session.kind, type(next(iter(outgoing.values()))).__name__, len(outgoing))
        following: Outgoing = {}
        gone = [name for name in outgoing if name in session.left]
        for name in gone:
            following |= session.lose(name, "gone", "")
        reached = {session.nodes[name]: name for name in outgoing if name not in session.left}

        def contents() -> Iterator[tuple[int, RecordDict]]:
            for node, name in reached.items():
                content, size = session.content(name, outgoing[name])
                step.bytes_down += size
                yield node, content

        for node, message in self._post.send(contents()):
            if message is None:
                following |= session.lose(reached[node], "failed", "the SuperLink did not take the message")
            else:
                self._waiting[message] = session, reached[node], time.monotonic() + self._deadline
        return following

    def _close_step(self, session: Session) -> None:
        if session.step is not None:
            session.step.seconds = time.monotonic() - session.step.began
            self._watch.step(session.step)
            session.step = None

    def _end(self, session: Session) -> None:
        if session.step is None:
            return
        self._close_step(session)
        outcome = "finished" if session.outcome is None else type(session.outcome).__name__
        self._watch.ended(session.kind, outcome, time.monotonic() - session.began)
        self._waiting = {m: waiting for m, waiting in self._waiting.items() if waiting[0] is not session}

    def _release(self, session: Session) -> None:
        """Tell whoever may still hold secrets of this session to forget them; nobody waits for an answer."""
        holders = session.server.invited if session.outcome is not None else session.left.keys()
        frame = session.to_client.encode(Abort("the session is over"))
        content = Envelope(session.kind, session.server.session, frame).content()
        for _ in self._post.send((session.nodes[name], content) for name in holders):
            pass
