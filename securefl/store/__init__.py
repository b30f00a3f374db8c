"""What must outlive a process, in SQLite: permanent answers of claims, and a client's sessions and answers."""

from __future__ import annotations

from securefl.store.journal import SqliteJournal
from securefl.store.memo import SqliteMemo

__all__ = ["SqliteJournal", "SqliteMemo"]
