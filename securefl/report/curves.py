"""The curves of a long run: what is drawn over its rounds, and what each says aloud."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from securefl.report import numbers

if TYPE_CHECKING:
    from securefl.federation.records import RoundRecord, RunSummary

__all__ = ["Curve", "best", "curves", "title"]


@dataclass(frozen=True)
class Curve:
    """One picture: lines over rounds, each (name, points)."""

    id: str
    title: str
    says: str
    lines: tuple[tuple[str, tuple[tuple[int, float], ...]], ...]
    text: Callable[[float], str]
    """A value, as people read it."""
    reference: tuple[str, float] | None = None
    """A dotted line, if there is something to compare with."""
    floor: float | None = None
    """Where the vertical axis begins; None = near the values."""

    @property
    def spoken(self) -> str:
        """First, last and extreme values, for those who cannot see it."""
        parts = [_spoken(name, points, self.text) for name, points in self.lines]
        return f"{self.title}: " + "; ".join(parts)


def curves(summary: RunSummary) -> list[Curve]:
    """What there is to draw; a curve without points is left out."""
    return [curve for curve in _all(summary) if any(points for _, points in curve.lines)]


def _all(summary: RunSummary) -> list[Curve]:
    rounds = summary.per_round
    start = () if summary.auc_start is None else ((0, summary.auc_start),)
    auc = start + _points(rounds, lambda r: r.auc)
    finished = [record for record in rounds if record.completed]
    found = [
        Curve("auc", "How well the model ranks", "AUC on held-out clicks; round 0 is before training.",
              (("AUC", auc),), numbers.auc_short, ("guessing", 0.5)),
        Curve("loss", "Loss", "Mean loss of those that trained, on their own samples, in nats.",
              (("loss", _points(rounds, lambda r: r.loss)),), lambda value: f"{value:.3f}"),
        Curve("bytes", "Bytes per client", "One client, one round: up to the server, and down to the client.",
              (("up", _points(finished, lambda r: r.bytes_up_per_client)),
               ("down", _points(finished, lambda r: r.bytes_down_per_client))), numbers.size, floor=0),
        Curve("survivors", "Survivors", "Clients that answered every message, of those invited.",
              (("finished", _points(rounds, lambda r: r.finishers)),), numbers.whole,
              ("invited", float(max((r.clients for r in rounds), default=0))), 0),
        Curve("union", "Union", "Items that the clients of a round held between them.",
              (("items", _points(finished, lambda r: r.union_size)),), numbers.whole, floor=0),
        Curve("seconds", "Seconds", "One round of the simulation: all clients and the server on one machine.",
              (("seconds", _points(rounds, lambda r: sum(r.seconds.values()))),), numbers.seconds, floor=0),
    ]  # fmt: skip
    return found if summary.plain else [*found, _epsilon(summary)]


def _epsilon(summary: RunSummary) -> Curve:
    ever = summary.epsilon_claims_ever
    spent = _points(summary.per_round, lambda r: r.epsilon_claims_spent)
    finite = tuple(point for point in spent if point[1] != float("inf"))
    return Curve(
        "epsilon",
        "What claims have revealed",
        "Epsilon of one item, of the client that was invited most often; from the claims alone.",
        (("spent", finite),),
        numbers.epsilon,
        ("ever", ever) if finite and ever != float("inf") else None,
        0,
    )


def title(summary: RunSummary) -> str:
    """How far the run has come."""
    planned = summary.settings["cohort"]["rounds"]  # type: ignore[index]  # a table of settings
    failed = summary.rounds - summary.rounds_completed
    state = "plain, without masks" if summary.plain else "all sums exact" if summary.exact else "A SUM IS NOT EXACT"
    return f"{summary.rounds} of {planned} rounds, {failed} of them unfinished: {state}"


def best(summary: RunSummary) -> str:
    """The highest AUC of a judged round, and when."""
    judged = [(record.auc, record.round) for record in summary.per_round if record.auc is not None]
    if not judged:
        return ""
    highest, number = max(judged, key=lambda pair: (pair[0], -pair[1]))
    return f", {numbers.auc(highest)} at best (round {number})"


def _points(rounds: Sequence[RoundRecord], of: Callable[[RoundRecord], float | None]) -> tuple[tuple[int, float], ...]:
    values = ((record.round, of(record)) for record in rounds)
    return tuple((number, float(value)) for number, value in values if value is not None)


def _spoken(name: str, points: Sequence[tuple[int, float]], text: Callable[[float], str]) -> str:
    if not points:
        return f"{name} unknown"
    (first, begun), (last, ended) = points[0], points[-1]
    values = [value for _, value in points]
    between = f"between {text(min(values))} and {text(max(values))}"
    return f"{name} {text(begun)} in round {first}, {text(ended)} in round {last}, {between}"
