"""A SQLite file that is ours: made with care, checked before it is used, durable after every transaction."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from securefl.errors import ConfigurationError


class Database:
    """Base of the stores. The file is made, readable by its owner alone, if there is none.

    `what` names the store in errors, `application_id` its kind in the header of the file, `schema` its tables, and
    `lost` what it means if the file of an `expected_store` is gone. One object serves one thread of one process.
    """

    what: str
    application_id: int
    version = 1
    schema: Sequence[str]
    lost: str

    def __init__(self, path: str | Path, expected_store: bytes | None = None) -> None:
        self._path = Path(path).absolute()
        if expected_store is not None and not self._path.exists():
            raise ConfigurationError(f"{self.what} {self._path}: the file is missing. {self.lost}")
        with self._translated():
            self._path.touch(mode=0o600)
            self._database = sqlite3.connect(self._path, isolation_level=None)
        try:
            self.store_id = self._open(expected_store)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file. The store cannot be used afterwards."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """On disk when it ends, or rolled back on any error."""
        with self._translated(), self._database:
            self._database.execute("BEGIN IMMEDIATE")
            yield self._database

    def _open(self, expected_store: bytes | None) -> bytes:
        """Check that the file is ours, or make it so if it is empty, before anything is written to it."""
        with self._translated():
            with self._database:
                self._database.execute("BEGIN IMMEDIATE")  # of two processes that open a new file, one makes it
                if not self._scalar("SELECT count(*) FROM sqlite_master") and not self._scalar("PRAGMA application_id"):
                    self._create()
                self._check_format()
                self._check_content()
                store_id: bytes = self._scalar("SELECT id FROM store")
                if expected_store not in (None, store_id):
                    raise ConfigurationError(
                        f"{self.what} {self._path}: this is not the store used before. {self.lost}"
                    )
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
        return store_id

    def _create(self) -> None:
        for statement in ("CREATE TABLE store (id BLOB NOT NULL)", *self.schema):
            # Strict, so that `_check_content` finds a value of another type than its column's.
            self._database.execute(statement + (", " if statement.endswith("WITHOUT ROWID") else " ") + "STRICT")
        self._database.execute(f"PRAGMA application_id = {self.application_id}")
        self._database.execute(f"PRAGMA user_version = {self.version}")
        self._database.execute("INSERT INTO store (id) VALUES (?)", (secrets.token_bytes(16),))

    def _check_format(self) -> None:
        if self._scalar("PRAGMA application_id") != self.application_id:
            raise ConfigurationError(
                f"{self.what} {self._path}: a database of another program or purpose; name another file"
            )
        version = self._scalar("PRAGMA user_version")
        if version != self.version:
            raise ConfigurationError(
                f"{self.what} {self._path}: written in format {version}, this program reads format {self.version}; "
                "use the program that wrote it"
            )

    def _check_content(self) -> None:
        """Every page and row as the schema has it: of what is read afterwards, the type is sure, its meaning not."""
        found = self._scalar("PRAGMA quick_check(1)")
        if found != "ok":
            raise sqlite3.DatabaseError(f"damaged: {found}")

    def _scalar(self, query: str) -> Any:
        for (value,) in self._database.execute(query):
            return value
        raise sqlite3.DatabaseError("damaged: a row is missing")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error, UnicodeDecodeError) as error:
            reason = "damaged: a text in it is none" if isinstance(error, UnicodeDecodeError) else _on_one_line(error)
            raise ConfigurationError(f"{self.what} {self._path}: cannot be used as a store: {reason}") from None


def _on_one_line(error: Exception) -> str:
    return " ".join(str(error).split())
