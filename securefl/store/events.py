"""A server's events in SQLite, for `securefl.engine.durable`."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from securefl.store.database import Database

__all__ = ["SqliteEventLog"]

EVENTS = "SELECT CAST(kind AS TEXT), CAST(sender AS BLOB), CAST(frame AS BLOB) FROM event ORDER BY number"


class SqliteEventLog(Database):
    """An `engine.EventLog` of one session in a file. It holds what the server received, masked as it came."""

    what, application_id = "event log", 0x53464C45  # "SFLE"
    schema = (
        "CREATE TABLE session (id BLOB NOT NULL)",
        "CREATE TABLE event (number INTEGER PRIMARY KEY, kind TEXT NOT NULL, "
        "sender BLOB NOT NULL, frame BLOB NOT NULL)",
    )
    lost = "The session it held cannot be resumed: begin a new one"

    def __init__(self, path: str | Path, *, expected_store: bytes | None = None) -> None:
        super().__init__(path, expected_store)
        with self._transaction() as database:
            if not self._scalar("SELECT count(*) FROM session"):
                database.execute("INSERT INTO session (id) VALUES (?)", (secrets.token_bytes(32),))
        with self._translated():
            self.session: bytes = self._scalar("SELECT id FROM session")

    def append(self, event: tuple[Any, bytes, bytes]) -> None:
        """See `engine.EventLog`."""
        with self._transaction() as database:
            database.execute("INSERT INTO event (kind, sender, frame) VALUES (?, ?, ?)", event)

    def __iter__(self) -> Iterator[tuple[Any, bytes, bytes]]:
        """See `engine.EventLog`."""
        with self._translated():
            yield from self._database.execute(EVENTS)
