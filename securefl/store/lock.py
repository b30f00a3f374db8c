"""One process to a folder: a lock that the operating system takes back when its holder dies, however it dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from securefl.errors import ConfigurationError

__all__ = ["FolderLock"]


class FolderLock:
    """Held from its making until `close`, or the end of the process. The file stays: only the lock on it counts."""

    def __init__(self, folder: Path) -> None:
        path = folder / "lock"
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise ConfigurationError(f"run {folder}: cannot be locked: {error.strerror}") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._file, 20, 0).decode("ascii", "replace").strip()
            os.close(self._file)
            if not isinstance(error, BlockingIOError):
                raise ConfigurationError(f"run {folder}: cannot be locked: {error.strerror}") from None
            raise ConfigurationError(
                f"run {folder}: process {holder} is at work in it; wait for its end, or name another folder"
            ) from None
        self._sign()

    def close(self) -> None:
        """Let others in."""
        os.close(self._file)

    def _sign(self) -> None:
        """For the sentence that others get. That it cannot be written is no reason to stop."""
        try:
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)
        except OSError:
            return
