"""Output files: known to be writable before the long work starts, and whole or not there at all after it."""

from __future__ import annotations

import os
from pathlib import Path

from securefl.errors import ConfigurationError

__all__ = ["check_writable", "write_text"]


def check_writable(path: Path, option: str) -> None:
    """Raise ConfigurationError, naming the option, if ``path`` cannot become a file."""
    if path.is_dir():
        raise ConfigurationError(f"{option}: {path} is a folder; name a file in it")
    try:
        if _is_device(path):
            path.open("ab").close()
        else:
            probe = _beside(path)
            probe.open("xb").close()
            probe.unlink()
    except OSError as error:
        raise ConfigurationError(f"{option}: {path} cannot be written: {error.strerror}") from None


def write_text(path: Path, text: str, option: str) -> None:
    """Write UTF-8 so that ``path`` holds either what it held or all of ``text``. Raises ConfigurationError."""
    try:
        if _is_device(path):
            path.write_text(text, encoding="utf-8")
        else:
            _replace(path.resolve(), text)
    except OSError as error:
        raise ConfigurationError(f"{option}: {path} cannot be written: {error.strerror}") from None


def _replace(path: Path, text: str) -> None:
    draft = _beside(path)
    try:
        with draft.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    return path.resolve().with_name(f".{path.name}.{os.getpid()}")


def _is_device(path: Path) -> bool:
    """A pipe or /dev/stdout is written to, never replaced."""
    return path.exists() and not path.is_file()
