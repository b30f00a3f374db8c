"""What a client must remember beyond a session, so that neither a server nor a crash makes it answer twice."""

from __future__ import annotations

from typing import Protocol

from securefl.errors import FaultyServerError, LocalProtocolError


class Journal(Protocol):
    """Marks that outlive a process. Each is durable before the message it stands for leaves."""

    def open(self, session: bytes) -> None:
        """Note a session; `FaultyServerError` if it was noted before: a client enters a session id once."""

    def answer(self, session: bytes, one: str) -> None:
        """Note that sum `one` is answered; `FaultyServerError` if it was: shares are released once."""

    def suspend(self, session: bytes) -> int:
        """A new stage number for a session that is about to be suspended; older suspensions die with it."""

    def resume(self, session: bytes, stage: int) -> None:
        """Use up a suspension; `LocalProtocolError` unless `stage` is the latest and was not used yet."""


class InMemoryJournal:
    """Marks for as long as this object lives. `securefl.store.SqliteJournal` keeps them."""

    def __init__(self) -> None:
        self._stages: dict[bytes, int] = {}
        self._answers: set[tuple[bytes, str]] = set()

    def open(self, session: bytes) -> None:
        """See `Journal`."""
        if session in self._stages:
            raise FaultyServerError("this session id was used before; a client enters a session once")
        self._stages[session] = 0

    def answer(self, session: bytes, one: str) -> None:
        """See `Journal`."""
        if (session, one) in self._answers:
            raise FaultyServerError("this sum was answered before; shares are released once")
        self._answers.add((session, one))

    def suspend(self, session: bytes) -> int:
        """See `Journal`."""
        if session not in self._stages:
            raise LocalProtocolError("a session that this journal never opened cannot be suspended")
        self._stages[session] += 1
        return self._stages[session]

    def resume(self, session: bytes, stage: int) -> None:
        """See `Journal`."""
        if self._stages.get(session) != stage:
            raise LocalProtocolError("this suspended session was resumed before, or is not the latest")
        self._stages[session] += 1
