"""A client's sessions, answers and suspensions in SQLite: a restart never makes it answer twice."""

from __future__ import annotations

import sqlite3

from securefl.errors import FaultyServerError, LocalProtocolError
from securefl.store.database import Database

__all__ = ["SqliteJournal"]


class SqliteJournal(Database):
    """A `secagg.Journal` in a file of one client. Each mark is on disk before the message it stands for leaves.

    Pass the `store_id` back as `expected_store`: a lost file then raises ConfigurationError.
    """

    what, application_id = "journal", 0x53464C4A  # "SFLJ"
    schema = (
        "CREATE TABLE session (id BLOB PRIMARY KEY, stage INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID",
        "CREATE TABLE answered (session BLOB, sum TEXT, PRIMARY KEY (session, sum)) WITHOUT ROWID",
    )
    lost = (
        "Without it this client could be made to answer a session twice: restore the file, or take a new identity "
        "and pass expected_store=None"
    )

    def open(self, session: bytes) -> None:
        """See `secagg.Journal`."""
        try:
            with self._transaction() as database:
                _insert(database, "INSERT INTO session (id) VALUES (?)", session)
        except _SeenError:
            raise FaultyServerError("this session id was used before; a client enters a session once") from None

    def answer(self, session: bytes, one: str) -> None:
        """See `secagg.Journal`."""
        try:
            with self._transaction() as database:
                _insert(database, "INSERT INTO answered (session, sum) VALUES (?, ?)", session, one)
        except _SeenError:
            raise FaultyServerError("this sum was answered before; shares are released once") from None

    def suspend(self, session: bytes) -> int:
        """See `secagg.Journal`."""
        with self._transaction() as database:
            row = database.execute(
                "UPDATE session SET stage = stage + 1 WHERE id = ? RETURNING stage", (session,)
            ).fetchone()
        if row is None:
            raise LocalProtocolError("a session that this journal never opened cannot be suspended")
        return int(row[0])

    def resume(self, session: bytes, stage: int) -> None:
        """See `secagg.Journal`."""
        with self._transaction() as database:
            changed = database.execute(
                "UPDATE session SET stage = stage + 1 WHERE id = ? AND stage = ?", (session, stage)
            ).rowcount
        if changed != 1:
            raise LocalProtocolError("this suspended session was resumed before, or is not the latest")


class _SeenError(Exception):
    """The mark is there already."""


def _insert(database: sqlite3.Connection, statement: str, *values: object) -> None:
    try:
        database.execute(statement, values)
    except sqlite3.IntegrityError:
        raise _SeenError from None
