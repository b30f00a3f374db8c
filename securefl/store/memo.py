"""A client's permanent answers in SQLite: on disk before a claim is sent, and never silently drawn again."""

from __future__ import annotations

import json
from copy import copy
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dp import MemoError, check_answers, check_indices
from securefl.errors import ConfigurationError
from securefl.store.database import Database

__all__ = ["SqliteMemo"]

APPLICATION_ID = 0x53464C4D
"""Stands in the header of the file: "SFLM"."""
RECALL = "SELECT value, bit FROM json_each(?) CROSS JOIN answer ON item = value WHERE client = ?"
REMEMBER = "INSERT INTO answer (client, item, bit) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"


class SqliteMemo(Database):
    """A `dp.Memo` in a file, for one client name; several clients may share the file.

    The file carries a random `store_id`: keep that beside the client's identity and pass it back as `expected_store`.
    A file that was lost or replaced then raises ConfigurationError instead of drawing permanent answers a second time;
    so does, whatever is passed, a file that is no memo. An older copy of the same file cannot be told from it: whoever
    restores a backup must charge for what was answered since.
    """

    what, application_id = "memo", APPLICATION_ID
    schema = (
        "CREATE TABLE answer (client TEXT, item INTEGER, bit INTEGER NOT NULL CHECK (bit IN (0, 1)), "
        "PRIMARY KEY (client, item)) WITHOUT ROWID",
    )
    lost = (
        "New permanent answers would spend the privacy budget again: restore the file, or pass expected_store=None to "
        "start anew and charge every index a second time"
    )

    def __init__(self, path: str | Path, client: str, *, expected_store: bytes | None = None) -> None:
        self._client = client
        super().__init__(path, expected_store)

    def of(self, client: str) -> SqliteMemo:
        """The memo of another client in the same file, over the same connection."""
        other = copy(self)
        other._client = client
        return other

    def recall(self, indices: NDArray[np.int64], /) -> NDArray[np.int8]:
        """See `dp.Memo.recall`."""
        wanted = check_indices(indices, "indices", error=MemoError)
        with self._translated():
            rows = self._database.execute(RECALL, (json.dumps(wanted.tolist()), self._client)).fetchall()
        if any(bit not in (0, 1) for _, bit in rows):
            raise ConfigurationError(f"memo {self._path}: damaged: an answer is neither 0 nor 1. {self.lost}")
        known = np.array(rows, dtype=np.int64).reshape(-1, 2)
        answers = np.full(wanted.shape, -1, dtype=np.int8)
        answers[np.searchsorted(wanted, known[:, 0])] = known[:, 1]
        return answers

    def remember(self, indices: NDArray[np.int64], answers: NDArray[np.int8], /) -> None:
        """See `dp.Memo.remember`. One transaction, on disk before this returns."""
        indices, answers = check_answers(indices, answers)
        rows = ((self._client, *pair) for pair in zip(indices.tolist(), answers.tolist(), strict=True))
        with self._transaction() as database:
            database.executemany(REMEMBER, rows)
            if not np.array_equal(self.recall(indices), answers):
                raise MemoError("an index already has the other permanent answer")
