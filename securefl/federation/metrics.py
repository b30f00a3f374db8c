"""The records of a run as they come, in a file that other programs can follow."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from securefl.errors import ConfigurationError
from securefl.federation.progress import Silent
from securefl.federation.records import RoundRecord, to_line
from securefl.store import replace_file

__all__ = ["METRICS", "Metrics", "lines"]

METRICS = "metrics.jsonl"


class Metrics(Silent):
    """A line of JSON for each finished round, readable at once. Begins with the rounds that a checkpoint knows."""

    def __init__(self, folder: Path, done: Iterable[RoundRecord]) -> None:
        self._path = folder / METRICS
        text = "".join(f"{to_line(record)}\n" for record in done)
        replace_file(self._path, text.encode(), f"run {folder}")
        self._file = self._path.open("ab", buffering=0)

    def round_finished(self, record: RoundRecord) -> None:
        """Append. Raises ConfigurationError if the disk is full."""
        left = f"{to_line(record)}\n".encode()
        try:
            while left:  # a disk that fills up takes a part
                left = left[self._file.write(left) :]
        except OSError as error:
            raise ConfigurationError(
                f"run {self._path.parent}: {METRICS} cannot be written: {error.strerror}; the last checkpoint is "
                "untouched: make room and run the same command again"
            ) from None

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def lines(folder: Path) -> list[str]:
    """The finished lines of a run's metrics; none if there is no such file."""
    try:
        text = (folder / METRICS).read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError):
        raise ConfigurationError(
            f"run {folder}: {METRICS} cannot be read; remove it, and the run writes it anew"
        ) from None
    return text.splitlines() if text.endswith("\n") else text.splitlines()[:-1]
