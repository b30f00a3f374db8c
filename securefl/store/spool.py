"""Uploads of an open sum in a temporary file: the server's memory stays at one vector, however many clients."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Sequence

from securefl.errors import ConfigurationError

__all__ = ["FileSpool"]


class FileSpool:
    """A `secagg.Spool` in a file without a name, in the system's folder for temporary files or in `folder`.

    It holds masked uploads, as the network did. It is gone when this object or its process is.
    """

    def __init__(self, folder: str | None = None) -> None:
        try:
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - lives as long as this object
        except OSError as error:
            raise ConfigurationError(f"spool {folder or tempfile.gettempdir()}: cannot be written: {error}") from None
        weakref.finalize(self, self._file.close)
        self._places: dict[int, list[tuple[int, int]]] = {}

    def put(self, client: int, segments: Sequence[bytes]) -> None:
        """See `secagg.Spool`."""
        places = []
        self._file.seek(0, 2)
        for data in segments:
            places.append((self._file.tell(), len(data)))
            self._file.write(data)
        self._places[client] = places

    def get(self, client: int) -> list[bytes]:
        """See `secagg.Spool`."""
        segments = []
        for start, size in self._places[client]:
            self._file.seek(start)
            segments.append(self._file.read(size))
        return segments

    def clear(self) -> None:
        """See `secagg.Spool`."""
        self._places.clear()
        self._file.seek(0)
        self._file.truncate()
