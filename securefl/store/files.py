"""Files that are whole or not there: written beside their place, on disk, then moved into it."""

from __future__ import annotations

import os
from pathlib import Path

from securefl.errors import ConfigurationError

__all__ = ["replace_file"]


def replace_file(path: Path, data: bytes, what: str) -> None:
    """`path` holds what it held, or all of `data`, also after a crash. ConfigurationError, naming `what`, if not."""
    draft = path.with_name(f".{path.name}.draft")
    try:
        try:
            with draft.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
            _sync_folder(path.parent)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"{what}: {path} cannot be written: {error.strerror}; what was there before is untouched"
        ) from None


def _sync_folder(folder: Path) -> None:
    """The new name, too, survives a crash."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
