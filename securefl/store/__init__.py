"""What must outlive a process, in SQLite, and what does not fit into memory: answers, spending, sessions, uploads."""

from __future__ import annotations

from securefl.store.disclosures import Disclosure, Rows, Run, SqliteDisclosures
from securefl.store.events import SqliteEventLog
from securefl.store.journal import SqliteJournal
from securefl.store.ledger import SqliteLedger
from securefl.store.memo import SqliteMemo
from securefl.store.spool import FileSpool

__all__ = [
    "FileSpool",
    "SqliteEventLog",
    "SqliteJournal",
    "SqliteLedger",
    "SqliteMemo",
    "SqliteDisclosures",
    "Disclosure",
    "Rows",
    "Run",
]
