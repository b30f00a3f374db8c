"""What an operator may see of a run: counts, bytes and seconds. No identity, no node, no input, no result."""

from __future__ import annotations

import json
import logging
import os
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

_LOG = logging.getLogger("securefl.engine.flower")

SECONDS: Final = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000)
"""Bounds of the histogram of steps."""
PREFIX: Final = "securefl_"


@dataclass
class Step:
    """One message round of one session."""

    kind: str
    message: str
    """The type of the server's message."""
    asked: int
    bytes_down: int = 0
    bytes_up: int = 0
    answered: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    """By reason: late, gone (from a step before), refused (by itself or the server), failed (in Flower's hands)."""
    began: float = field(default_factory=time.monotonic)
    seconds: float = 0.0

    def sent(self, size: int) -> None:
        """A message is on its way."""
        self.bytes_down += size

    def heard(self, size: int, lost: str = "") -> None:
        """A reply came. `lost`: why it is worth nothing."""
        self.bytes_up += size
        if lost:
            self.lost[lost] += 1
        else:
            self.answered += 1


class Watch(Protocol):
    """Hears how sessions go."""

    def step(self, step: Step) -> None:
        """A step is closed."""

    def ended(self, kind: str, outcome: str, seconds: float) -> None:
        """A session is over: `outcome` is "finished" or the class of the error."""


class Unwatched:
    """Hears nothing."""

    def step(self, step: Step) -> None:
        """See `Watch`."""

    def ended(self, kind: str, outcome: str, seconds: float) -> None:
        """See `Watch`."""


class LogWatch:
    """One line of JSON for each step and each session, to the logger `securefl.engine.flower` at level INFO."""

    def step(self, step: Step) -> None:
        """See `Watch`."""
        _log(
            "step",
            session=step.kind,
            message=step.message,
            asked=step.asked,
            answered=step.answered,
            lost=dict(step.lost),
            bytes_down=step.bytes_down,
            bytes_up=step.bytes_up,
            seconds=round(step.seconds, 3),
        )

    def ended(self, kind: str, outcome: str, seconds: float) -> None:
        """See `Watch`."""
        _log("session", session=kind, outcome=outcome, seconds=round(seconds, 3))


class Metrics:
    """The same as Prometheus metrics, in a file that is replaced after every session.

    Point node_exporter's textfile collector at the file's folder; no port is opened. Also logs, as `LogWatch` does.
    """

    def __init__(self, path: str | Path) -> None:
        self._path, self._log = Path(path), LogWatch()
        self._counters: dict[str, Counter[str]] = defaultdict(Counter)
        self._buckets: dict[str, Counter[float]] = defaultdict(Counter)

    def step(self, step: Step) -> None:
        """See `Watch`."""
        self._log.step(step)
        labels = _labels(session=step.kind, message=step.message)
        self._counters["messages_sent_total"][labels] += step.asked
        self._counters["answers_total"][labels] += step.answered
        for direction, size in (("down", step.bytes_down), ("up", step.bytes_up)):
            self._counters["bytes_total"][_labels(session=step.kind, direction=direction)] += size
        for reason, count in step.lost.items():
            self._counters["losses_total"][_labels(session=step.kind, message=step.message, reason=reason)] += count
        self._observe(labels, step.seconds)

    def ended(self, kind: str, outcome: str, seconds: float) -> None:
        """See `Watch`."""
        self._log.ended(kind, outcome, seconds)
        self._counters["sessions_total"][_labels(session=kind, outcome=outcome)] += 1
        self.write()

    def text(self) -> str:
        """All of it in Prometheus' text format."""
        lines = []
        for name, values in sorted(self._counters.items()):
            lines.append(f"# TYPE {PREFIX}{name} counter")
            lines += [f"{PREFIX}{name}{{{labels}}} {value}" for labels, value in sorted(values.items())]
        name = f"{PREFIX}step_seconds"
        lines += [f"# TYPE {name} histogram"] if self._buckets else []
        for labels, buckets in sorted(self._buckets.items()):
            lines += [f'{name}_bucket{{{labels},le="{bound:g}"}} {buckets[bound]}' for bound in SECONDS]
            count = buckets[float("inf")]
            lines += [f'{name}_bucket{{{labels},le="+Inf"}} {count}', f"{name}_count{{{labels}}} {count}"]
            lines.append(f"{name}_sum{{{labels}}} {buckets[-1.0] / 1000:g}")
        return "\n".join(lines) + "\n"

    def write(self) -> None:
        """Replace the file: a reader never sees half of it."""
        fresh = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        fresh.write_text(self.text(), encoding="ascii")
        fresh.replace(self._path)

    def _observe(self, labels: str, seconds: float) -> None:
        buckets = self._buckets[labels]
        for bound in (*SECONDS, float("inf")):
            buckets[bound] += seconds <= bound
        buckets[-1.0] += round(1000 * seconds)  # their sum, in milliseconds


def _labels(**labels: str) -> str:
    return ",".join(f'{name}="{value}"' for name, value in labels.items())


def _log(event: str, **fields: object) -> None:
    _LOG.info(json.dumps({"event": event, **fields}))
