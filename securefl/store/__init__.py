"""What must outlive a process, in SQLite, and what does not fit into memory: answers, spending, sessions, updates."""

from __future__ import annotations

from securefl.store.checkpoints import Checkpoint, SqliteCheckpoints
from securefl.store.disclosures import Disclosure, Rows, Run, SqliteDisclosures
from securefl.store.events import SqliteEventLog
from securefl.store.files import replace_file
from securefl.store.journal import SqliteJournal
from securefl.store.ledger import SqliteLedger
from securefl.store.lock import FolderLock
from securefl.store.memo import SqliteMemo
from securefl.store.node import NodeStore, read_registry, write_registry
from securefl.store.spool import FileSpool
from securefl.store.updates import Remembered, SqliteUpdates

__all__ = [
    "FileSpool",
    "SqliteEventLog",
    "SqliteJournal",
    "SqliteLedger",
    "SqliteMemo",
    "SqliteCheckpoints",
    "Checkpoint",
    "FolderLock",
    "replace_file",
    "NodeStore",
    "read_registry",
    "write_registry",
    "SqliteDisclosures",
    "Disclosure",
    "Rows",
    "Run",
    "Remembered",
    "SqliteUpdates",
]
