"""What a run shows while it goes on: two bars on a terminal, and one line a round anywhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from securefl.federation.records import PHASES
from securefl.report import numbers, story

if TYPE_CHECKING:
    from securefl.federation.records import RoundRecord

__all__ = ["TerminalProgress", "stdout", "stderr"]


def stdout() -> Console:
    """A console on standard output as it is now."""
    return Console(file=sys.stdout, highlight=False)


def stderr() -> Console:
    """A console on standard error as it is now."""
    return Console(file=sys.stderr, highlight=False)


class TerminalProgress:
    """A ``securefl.federation.progress.Progress`` on a rich console."""

    def __init__(self, console: Console) -> None:
        self._console, self._number, self._rounds, self._first = console, 1, 0, 0
        self._since = time.monotonic()
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._whole = self._bars.add_task("rounds", total=None)
        self._phase = self._bars.add_task("setting up", total=None)

    def __enter__(self) -> TerminalProgress:
        if self._console.is_terminal:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._bars.stop()

    def round_started(self, number: int, rounds: int) -> None:
        """Show which round it is."""
        if not self._first:
            self._first, self._since = number, time.monotonic()
            if number > 1:
                self._console.print(f"going on after round {number - 1}", markup=False)
        self._number, self._rounds = number, rounds
        self._bars.update(self._whole, description=f"round {number} of {rounds}", total=rounds * len(PHASES))
        self._reach(0)

    def phase(self, name: str, done: int, total: int) -> None:
        """Move both bars; lost clients leave a phase short of its total."""
        self._bars.update(self._phase, description=story.LABELS[name][0].lower(), completed=done, total=total)
        self._reach(PHASES.index(name) + done / total)

    def decoding(self, tested: int, universe: int) -> None:
        """Lend the bar of the phase to the server, which tests every index."""
        self._bars.update(self._phase, description="testing the universe", completed=tested, total=universe)

    def _reach(self, phases: float) -> None:
        self._bars.update(self._whole, completed=(self._number - 1) * len(PHASES) + phases)

    def round_finished(self, record: RoundRecord) -> None:
        """Leave one line behind."""
        line = f"round {record.round} of {self._rounds}: {_outcome(record)}{self._left(record.round)}"
        self._console.print(line, markup=False, soft_wrap=True)

    def _left(self, number: int) -> str:
        """How long the other rounds will take, if they take as long as those so far."""
        if number >= self._rounds:
            return ""
        pace = (time.monotonic() - self._since) / (number - self._first + 1)
        return f", {numbers.seconds(pace * (self._rounds - number))} to go"


def _outcome(record: RoundRecord) -> str:
    duration = numbers.seconds(sum(record.seconds.values()))
    if not record.completed:
        return f"not finished, {record.abort} ({duration})"
    state = ("exact" if record.checked else "done") if record.exact else "NOT EXACT"
    loss = "" if record.loss is None else f", loss {record.loss:.3f}"
    auc = "" if record.auc is None else f", AUC {numbers.auc(record.auc)}"
    return f"{state}, {record.finishers} of {record.clients} clients{auc}{loss} ({duration})"
