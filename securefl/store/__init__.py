"""What outlives a process: the memo of a client's permanent answers."""

from __future__ import annotations

from securefl.store.memo import SqliteMemo

__all__ = ["SqliteMemo"]
