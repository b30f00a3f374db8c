"""A client's permanent answers in SQLite: on disk before a claim is sent, and never silently drawn again."""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dp import MemoError, check_answers, check_indices
from securefl.errors import ConfigurationError

__all__ = ["SqliteMemo"]

APPLICATION_ID = 0x53464C4D
"""Stands in the header of the file: "SFLM"."""
SCHEMA_VERSION = 1
SCHEMA = (
    "CREATE TABLE store (id BLOB NOT NULL)",
    "CREATE TABLE answer (client TEXT, item INTEGER, bit INTEGER NOT NULL CHECK (bit IN (0, 1)), "
    "PRIMARY KEY (client, item)) WITHOUT ROWID",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)
RECALL = "SELECT item, bit FROM json_each(?) CROSS JOIN answer ON item = value WHERE client = ?"
REMEMBER = "INSERT INTO answer (client, item, bit) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
LOST = (
    "New permanent answers would spend the privacy budget again: restore the file, or pass expected_store=None to "
    "start anew and charge every index a second time"
)


class SqliteMemo:
    """A `dp.Memo` in a file, for one client name; several clients may share the file.

    The file is made, readable by its owner alone, if there is none. It carries a random `store_id`: keep that beside
    the client's identity and pass it back as `expected_store`. A file that was lost or replaced then raises
    ConfigurationError instead of drawing permanent answers a second time; so does, whatever is passed, a file that is
    no memo. An older copy of the same file cannot be told from it: whoever restores a backup must charge for what was
    answered since. One object serves one thread of one process.
    """

    def __init__(self, path: str | Path, client: str, *, expected_store: bytes | None = None) -> None:
        self._path, self._client = Path(path).absolute(), client
        if expected_store is not None and not self._path.exists():
            raise ConfigurationError(f"memo {self._path}: the file is missing. {LOST}")
        with self._translated():
            self._path.touch(mode=0o600)
            self._database = sqlite3.connect(self._path, isolation_level=None)
        try:
            self.store_id = self._open(expected_store)
        except BaseException:
            self.close()
            raise

    def recall(self, indices: NDArray[np.int64], /) -> NDArray[np.int8]:
        """See `dp.Memo.recall`."""
        wanted = check_indices(indices, "indices", error=MemoError)
        with self._translated():
            rows = self._database.execute(RECALL, (json.dumps(wanted.tolist()), self._client)).fetchall()
        known = np.array(rows, dtype=np.int64).reshape(-1, 2)
        answers = np.full(wanted.shape, -1, dtype=np.int8)
        answers[np.searchsorted(wanted, known[:, 0])] = known[:, 1]
        return answers

    def remember(self, indices: NDArray[np.int64], answers: NDArray[np.int8], /) -> None:
        """See `dp.Memo.remember`. One transaction, on disk before this returns."""
        indices, answers = check_answers(indices, answers)
        rows = ((self._client, *pair) for pair in zip(indices.tolist(), answers.tolist(), strict=True))
        with self._translated(), self._database:  # commits, or rolls back on any error
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany(REMEMBER, rows)
            if not np.array_equal(self.recall(indices), answers):
                raise MemoError("an index already has the other permanent answer")

    def close(self) -> None:
        """Close the file. The memo cannot be used afterwards."""
        self._database.close()

    def __enter__(self) -> SqliteMemo:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self, expected_store: bytes | None) -> bytes:
        """Check that the file is ours, or make it so if it is empty, before anything is written to it."""
        with self._translated():
            with self._database:
                self._database.execute("BEGIN IMMEDIATE")  # of two processes that open a new file, one makes it
                if not self._scalar("SELECT count(*) FROM sqlite_master") and not self._scalar("PRAGMA application_id"):
                    self._create()
                self._check_format()
                store_id: bytes = self._scalar("SELECT id FROM store")
                if expected_store not in (None, store_id):
                    raise ConfigurationError(f"memo {self._path}: this is not the store used before. {LOST}")
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
        return store_id

    def _create(self) -> None:
        for statement in SCHEMA:
            self._database.execute(statement)
        self._database.execute("INSERT INTO store (id) VALUES (?)", (secrets.token_bytes(16),))

    def _check_format(self) -> None:
        if self._scalar("PRAGMA application_id") != APPLICATION_ID:
            raise ConfigurationError(f"memo {self._path}: a database of another program; name another file")
        version = self._scalar("PRAGMA user_version")
        if version != SCHEMA_VERSION:
            raise ConfigurationError(
                f"memo {self._path}: written in format {version}, this program reads format {SCHEMA_VERSION}; "
                "use the program that wrote it"
            )

    def _scalar(self, query: str) -> Any:
        return self._database.execute(query).fetchone()[0]

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise ConfigurationError(f"memo {self._path}: cannot be used as a store: {error}") from None
