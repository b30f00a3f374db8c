"""A client's ledger in SQLite: what it releases is on disk before it leaves, and counts for ever."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dp import Budget, PrivacyError, Release, Spending, check_charge
from securefl.errors import ConfigurationError
from securefl.store.database import Database

__all__ = ["SqliteLedger"]

AGAIN = "INSERT INTO claim (client, item, lost, sends) VALUES (?, ?, 0, 1) ON CONFLICT DO UPDATE SET sends = sends + 1"
NEW = (
    "INSERT INTO claim (client, item, lost, sends) VALUES (?, ?, 0, 1) "
    "ON CONFLICT DO UPDATE SET lost = lost + 1, sends = 1"
)
TALLY = "SELECT CAST(lost AS INTEGER), CAST(sends AS INTEGER), count(*) FROM claim"
RELEASE = "INSERT INTO release (client, what, times) VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET times = times + 1"


class SqliteLedger(Database):
    """A `dp.Ledger` in a file, for one client name; several clients may share the file.

    The budget is part of the file: opening it with another one raises ConfigurationError, since what was spent under
    one mechanism cannot be counted under another. As with `SqliteMemo`, keep the random `store_id` and pass it back as
    `expected_store`: a file that was lost or replaced then raises instead of forgetting what was spent.
    """

    what, application_id = "ledger", 0x53464C42  # "SFLB", of its budget
    schema = (
        "CREATE TABLE account (client TEXT PRIMARY KEY, budget TEXT NOT NULL, rounds INTEGER NOT NULL) WITHOUT ROWID",
        "CREATE TABLE claim (client TEXT, item INTEGER, lost INTEGER NOT NULL, sends INTEGER NOT NULL, "
        "PRIMARY KEY (client, item)) WITHOUT ROWID",
        "CREATE TABLE release (client TEXT, what TEXT, times INTEGER NOT NULL, PRIMARY KEY (client, what)) "
        "WITHOUT ROWID",
    )
    lost = (
        "What this client has spent is not known without it: restore the file, or pass expected_store=None to start "
        "anew with a budget of its own"
    )

    def __init__(self, path: str | Path, client: str, budget: Budget, *, expected_store: bytes | None = None) -> None:
        self._client, self.budget = client, budget
        super().__init__(path, expected_store)
        try:
            self._open_account()
        except BaseException:
            self.close()
            raise

    def charge_claim(self, indices: NDArray[np.int64], recalled: NDArray[np.bool_], /) -> None:
        """See `dp.Ledger.charge_claim`. One transaction, on disk before this returns."""
        indices, recalled = check_charge(indices, recalled)
        with self._transaction() as database:
            database.executemany(AGAIN, self._keys(indices[recalled]))
            database.executemany(NEW, self._keys(indices[~recalled]))
            database.execute("UPDATE account SET rounds = rounds + 1 WHERE client = ?", (self._client,))
            self.budget.check(self._spending())

    def charge_release(self, release: Release, /) -> None:
        """See `dp.Ledger.charge_release`. One transaction, on disk before this returns."""
        with self._transaction() as database:
            database.execute(RELEASE, (self._client, str(release)))
            self.budget.check(self._spending())

    def spent(self) -> Spending:
        """See `dp.Ledger.spent`."""
        with self._translated():
            return self._spending()

    def _open_account(self) -> None:
        with self._transaction() as database:
            new = (self._client, str(self.budget))
            database.execute(
                "INSERT INTO account (client, budget, rounds) VALUES (?, ?, 0) ON CONFLICT DO NOTHING", new
            )
            if self._own("SELECT budget FROM account") != [(str(self.budget),)]:
                raise ConfigurationError(
                    f"ledger {self._path}: this client keeps it under another budget or mechanism; open it with the "
                    "same one, or begin a new file"
                )

    def _spending(self) -> Spending:
        ((rounds,),) = self._own("SELECT CAST(rounds AS INTEGER) FROM account")
        tally = self._own(TALLY, "GROUP BY 1, 2")
        releases = self._own("SELECT CAST(what AS TEXT), CAST(times AS INTEGER) FROM release")
        return self.budget.spending(
            rounds,
            {(lost, sends): number for lost, sends, number in tally},
            [(self._parsed(what), times) for what, times in releases],
        )

    def _parsed(self, what: str) -> Release:
        try:
            return Release.parse(what)
        except PrivacyError as error:
            raise ConfigurationError(f"ledger {self._path}: damaged: {error}") from None

    def _own(self, select: str, rest: str = "") -> list[tuple[Any, ...]]:
        """The rows of this client."""
        rows = self._database.execute(f"{select} WHERE client = ? {rest}", (self._client,)).fetchall()
        if any(None in row for row in rows):
            raise ConfigurationError(f"ledger {self._path}: damaged: a value is missing")
        return rows

    def _keys(self, items: NDArray[np.int64]) -> Iterable[tuple[str, int]]:
        return ((self._client, item) for item in items.tolist())
