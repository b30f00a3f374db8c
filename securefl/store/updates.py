"""What a client of FedLaAvg remembers of its updates, in SQLite: every change is on disk before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from securefl.errors import ConfigurationError
from securefl.store.database import Database

__all__ = ["Remembered", "SqliteUpdates"]

Integers = NDArray[np.int64]
QUANTIZED = np.dtype("<i4")
"""A quantized coordinate has at most 32 bits."""
RECALL = "SELECT run, included, CAST(latest AS BLOB), CAST(session AS BLOB), CAST(proposed AS BLOB) FROM contribution"


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Remembered:
    """A client's side of one run. Vectors are quantized updates, int64 (P,), private; None stands for zeros."""

    run: bytes = b""
    """Which run; empty before the first."""
    included: bytes = b""
    """The session whose sum brought in `latest`; empty for none."""
    latest: Integers | None = None
    """What is in the server's running sum."""
    session: bytes = b""
    """The session that `proposed` was sent in, its fate not known yet; empty for none."""
    proposed: Integers | None = None


class SqliteUpdates(Database):
    """A `federation.latest.Updates` in a file of one client.

    Pass the `store_id` back as `expected_store`: a lost file then raises ConfigurationError. What it held stays in the
    server's running sum until the operator begins a new run.
    """

    what, application_id = "updates", 0x53464C55  # "SFLU"
    schema = (
        "CREATE TABLE contribution (run BLOB NOT NULL, included BLOB NOT NULL, latest BLOB, session BLOB NOT NULL, "
        "proposed BLOB)",
    )
    lost = (
        "Without it this client cannot take its last update back: restore the file, or sit out until a new run begins "
        "and pass expected_store=None then"
    )

    def recall(self) -> Remembered:
        """See `Updates`."""
        with self._translated():
            rows = self._database.execute(RECALL).fetchall()
        if not rows:
            return Remembered()
        if len(rows) > 1 or any(not isinstance(rows[0][at], bytes) for at in (0, 1, 3)):
            raise self._damaged()
        run, included, latest, session, proposed = rows[0]
        return Remembered(run, included, self._vector(latest), session, self._vector(proposed))

    def begin(self, run: bytes) -> None:
        """See `Updates`."""
        with self._transaction() as database:
            database.execute("DELETE FROM contribution")
            database.execute("INSERT INTO contribution VALUES (?, x'', NULL, x'', NULL)", (run,))

    def propose(self, session: bytes, update: Integers) -> None:
        """See `Updates`."""
        with self._transaction() as database:
            data = update.astype(QUANTIZED).tobytes()
            database.execute("UPDATE contribution SET session = ?, proposed = ?", (session, data))

    def settle(self, *, included: bool) -> None:
        """See `Updates`."""
        with self._transaction() as database:
            if included:
                database.execute("UPDATE contribution SET included = session, latest = proposed")
            database.execute("UPDATE contribution SET session = x'', proposed = NULL")

    def _vector(self, data: Any) -> Integers | None:
        if data is None:
            return None
        if not isinstance(data, bytes) or len(data) % QUANTIZED.itemsize:
            raise self._damaged()
        return np.frombuffer(data, QUANTIZED).astype(np.int64)

    def _damaged(self) -> ConfigurationError:
        return ConfigurationError(f"updates {self._path}: damaged: it does not hold one contribution. {self.lost}")
