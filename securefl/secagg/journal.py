"""What a client must remember beyond a session, so that neither a server nor a crash makes it answer twice."""

from __future__ import annotations

from typing import Protocol

from securefl.errors import FaultyServerError


class Journal(Protocol):
    """Marks that outlive a process. Each is durable before the message it stands for leaves."""

    def open(self, session: bytes) -> None:
        """Note a session; `FaultyServerError` if it was noted before: a client enters a session id once."""

    def answer(self, session: bytes, one: str) -> None:
        """Note that sum `one` is answered; `FaultyServerError` if it was: shares are released once."""


class InMemoryJournal:
    """Marks for as long as this object lives. `securefl.store.SqliteJournal` keeps them."""

    def __init__(self) -> None:
        self._sessions: set[bytes] = set()
        self._answers: set[tuple[bytes, str]] = set()

    def open(self, session: bytes) -> None:
        """See `Journal`."""
        if session in self._sessions:
            raise FaultyServerError("this session id was used before; a client enters a session once")
        self._sessions.add(session)

    def answer(self, session: bytes, one: str) -> None:
        """See `Journal`."""
        if (session, one) in self._answers:
            raise FaultyServerError("this sum was answered before; shares are released once")
        self._answers.add((session, one))
