"""How far a run has come, in SQLite: all that its next round depends on, but the model, which is a file beside it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from securefl.errors import ConfigurationError
from securefl.store.database import Database

__all__ = ["Checkpoint", "SqliteCheckpoints"]


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A point from which a run goes on."""

    round: int
    """Rounds that are done."""
    model: str
    """Name of the model's file."""
    model_hash: bytes
    facts: dict[str, Any]
    """Plain values."""
    arrays: bytes
    """Named arrays, as safetensors."""


class SqliteCheckpoints(Database):
    """The latest checkpoint of one run, the records of its rounds, and what its simulated phones keep."""

    what, application_id = "run", 0x53464C43  # "SFLC"
    schema = (
        "CREATE TABLE run (origin TEXT NOT NULL)",
        "CREATE TABLE checkpoint (round INTEGER NOT NULL, model TEXT NOT NULL, model_hash BLOB NOT NULL, "
        "facts TEXT NOT NULL, arrays BLOB NOT NULL)",
        "CREATE TABLE record (round INTEGER PRIMARY KEY, body TEXT NOT NULL)",
        "CREATE TABLE phone (user INTEGER PRIMARY KEY, state BLOB NOT NULL)",
    )
    lost = "The run cannot go on without it"

    def begin(self, origin: Mapping[str, Any]) -> None:
        """What the run is, once and for all."""
        with self._transaction() as database:
            database.execute("INSERT INTO run (origin) VALUES (?)", (json.dumps(origin),))

    def origin(self) -> object:
        """What `begin` was given, as JSON has it; None before."""
        with self._translated():
            row = self._database.execute("SELECT origin FROM run").fetchone()
        return None if row is None else self._json(row[0])

    def save(self, point: Checkpoint, records: Iterable[str], phones: Mapping[int, bytes]) -> None:
        """A new checkpoint in place of the last: one transaction. Records of the rounds since, phones that changed."""
        with self._transaction() as database:
            last = self._scalar("SELECT max(round) FROM record") or 0
            database.execute("DELETE FROM checkpoint")
            values = (point.round, point.model, point.model_hash, json.dumps(point.facts), point.arrays)
            database.execute("INSERT INTO checkpoint VALUES (?, ?, ?, ?, ?)", values)
            database.executemany("INSERT INTO record VALUES (?, ?)", enumerate(records, start=last + 1))
            database.executemany("INSERT OR REPLACE INTO phone VALUES (?, ?)", phones.items())

    def latest(self) -> Checkpoint | None:
        """The checkpoint; None if there is none yet."""
        with self._translated():
            row = self._database.execute("SELECT round, model, model_hash, facts, arrays FROM checkpoint").fetchone()
        return None if row is None else Checkpoint(row[0], row[1], row[2], self._json(row[3]), row[4])

    def records(self) -> list[str]:
        """One for each round that is done, oldest first."""
        with self._translated():
            return [body for (body,) in self._database.execute("SELECT body FROM record ORDER BY round")]

    def phones(self) -> dict[int, bytes]:
        """What each phone keeps, by user."""
        with self._translated():
            return dict(self._database.execute("SELECT user, state FROM phone"))

    def _json(self, text: str) -> Any:
        try:
            return json.loads(text)
        except ValueError:
            raise ConfigurationError(f"run {self._path}: damaged; restore the file or name another folder") from None
