"""What a run released, round by round, in SQLite: what an audit of the run reads.

It holds what the server saw (who was invited, who claimed, the union, which rows opened over how many claimants) and
nothing that it did not, but for `Rows.contributors`, which only a simulation knows.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from securefl.errors import ConfigurationError
from securefl.store.database import Database

__all__ = ["Disclosure", "Rows", "Run", "SqliteDisclosures"]

Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of one table whose sums were opened; all arrays int64, (R,)."""

    indices: Indices
    claimants: Indices
    """Claimants whose inputs are in the sum: those that survived."""
    counts: Indices
    """The opened sum of weights: 0 if every claimant was a filler."""
    contributors: Indices | None = None
    """Claimants that put something in. Only a simulation knows; None outside."""


@dataclass(frozen=True, eq=False)
class Disclosure:
    """One round. Clients go by the names that a run gives them, the same in every round."""

    round: int
    finished: bool
    cohort: tuple[str, ...]
    """Invited."""
    claimed: Mapping[str, str]
    """Who sent a claim, heard or not, and the memo that answered: its name changes when a memo is lost."""
    union: Indices
    """Announced indices; empty if none were."""
    survivors: tuple[str, ...] = ()
    """Whose inputs are in the opened sums; empty if none were opened."""
    left_out: int = 0
    """Claimed rows below the row floor."""
    rows: Mapping[str, Rows] = field(default_factory=dict)
    """By table."""
    release: str = ""
    """The `dp.Release` of the opened sums; empty if they carry no noise."""


@dataclass(frozen=True)
class Run:
    """A run of the file: its settings, and whether it was private or a simulation."""

    number: int
    private: bool
    settings: dict[str, Any]


class SqliteDisclosures(Database):
    """Rounds of any number of runs, in the order in which they were made."""

    what, application_id = "ledger", 0x53464C52  # "SFLR"
    schema = (
        "CREATE TABLE run (number INTEGER PRIMARY KEY, private INTEGER NOT NULL, settings TEXT NOT NULL)",
        "CREATE TABLE disclosure (number INTEGER PRIMARY KEY, run INTEGER NOT NULL, round INTEGER NOT NULL, "
        "body BLOB NOT NULL)",
    )
    lost = "What was released is not known without it"

    def begin(self, settings: Mapping[str, Any], *, private: bool) -> int:
        """A new run; its number."""
        with self._transaction() as database:
            row = database.execute(
                "INSERT INTO run (private, settings) VALUES (?, ?) RETURNING number", (private, json.dumps(settings))
            ).fetchone()
        return int(row[0])

    def append(self, run: int, disclosure: Disclosure) -> None:
        """A round of a run; on disk when this returns."""
        with self._transaction() as database:
            values = (run, disclosure.round, zlib.compress(_packed(disclosure)))
            database.execute("INSERT INTO disclosure (run, round, body) VALUES (?, ?, ?)", values)

    def rewind(self, run: int, done: int) -> None:
        """Forget the rounds of a run after round `done`: for a simulation that will play the very same ones again."""
        with self._transaction() as database:
            database.execute("DELETE FROM disclosure WHERE run = ? AND round > ?", (run, done))

    def runs(self) -> list[Run]:
        """Every run, oldest first."""
        with self._translated():
            found = self._database.execute("SELECT number, private, settings FROM run ORDER BY number").fetchall()
        try:
            return [Run(number, bool(private), json.loads(settings)) for number, private, settings in found]
        except (ValueError, TypeError, RecursionError):
            raise ConfigurationError(f"ledger {self._path}: a damaged run; restore the file") from None

    def __iter__(self) -> Iterator[Disclosure]:
        """Every round, oldest first. Raises ConfigurationError for a damaged one."""
        with self._translated():
            bodies = self._database.execute("SELECT body FROM disclosure ORDER BY number").fetchall()
        for (body,) in bodies:
            try:
                yield _unpacked(zlib.decompress(body))
            except (zlib.error, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
                raise ConfigurationError(f"ledger {self._path}: a damaged round; restore the file") from None


def _packed(disclosure: Disclosure) -> bytes:
    body = {
        "round": disclosure.round,
        "finished": disclosure.finished,
        "cohort": disclosure.cohort,
        "claimed": dict(disclosure.claimed),
        "union": _gaps(disclosure.union),
        "survivors": disclosure.survivors,
        "left_out": disclosure.left_out,
        "release": disclosure.release,
        "rows": {
            name: {
                "indices": _gaps(rows.indices),
                "claimants": rows.claimants.tolist(),
                "counts": rows.counts.tolist(),
                "contributors": None if rows.contributors is None else rows.contributors.tolist(),
            }
            for name, rows in disclosure.rows.items()
        },
    }
    return json.dumps(body).encode()


def _unpacked(data: bytes) -> Disclosure:
    body = json.loads(data)
    rows = {
        name: Rows(
            np.cumsum(np.array(table["indices"], np.int64)),
            np.array(table["claimants"], np.int64),
            np.array(table["counts"], np.int64),
            None if table["contributors"] is None else np.array(table["contributors"], np.int64),
        )
        for name, table in body["rows"].items()
    }
    return Disclosure(
        body["round"],
        body["finished"],
        tuple(body["cohort"]),
        body["claimed"],
        np.cumsum(np.array(body["union"], np.int64)),
        tuple(body["survivors"]),
        body["left_out"],
        rows,
        str(body.get("release", "")),
    )


def _gaps(indices: Indices) -> list[int]:
    """Sorted indices as steps: they compress well."""
    steps: list[int] = np.diff(indices, prepend=0).tolist()
    return steps
