"""Where the server keeps the uploads that are in its running sum, until the survivors are fixed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Spool(Protocol):
    """Packed uploads by client. A dealer whose bundle was refused is taken out of the sum again, so they are kept."""

    def put(self, client: int, segments: Sequence[bytes]) -> None:
        """Keep one upload."""

    def get(self, client: int) -> list[bytes]:
        """One upload that was put."""

    def clear(self) -> None:
        """Forget all of them."""


class InMemorySpool:
    """Uploads in memory: n packed vectors. `securefl.store.FileSpool` keeps memory at one vector."""

    def __init__(self) -> None:
        self._uploads: dict[int, list[bytes]] = {}

    def put(self, client: int, segments: Sequence[bytes]) -> None:
        """See `Spool`."""
        self._uploads[client] = list(segments)

    def get(self, client: int) -> list[bytes]:
        """See `Spool`."""
        return self._uploads[client]

    def clear(self) -> None:
        """See `Spool`."""
        self._uploads.clear()
