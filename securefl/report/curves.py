"""The curves of long runs: what is drawn over their rounds, and what each picture says aloud."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

from securefl.report import numbers

if TYPE_CHECKING:
    from securefl.federation.records import RoundRecord, RunSummary

__all__ = ["Curve", "Line", "best", "curves", "title"]

Value = Callable[["RoundRecord"], float | None]
Runs = Mapping[str, "RunSummary"]


@dataclass(frozen=True)
class Line:
    """Points (round, value) under a name, rounds ascending."""

    name: str
    points: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Curve:
    """One picture over rounds."""

    name: str
    title: str
    says: str
    lines: tuple[Line, ...]
    text: Callable[[float], str]
    """A value, as people read it."""
    reference: tuple[str, float] | None = None
    """A dotted line, if there is something to compare with."""
    from_zero: bool = True

    @property
    def spoken(self) -> str:
        """First, last and extreme values, for those who cannot see it."""
        return f"{self.title}: " + "; ".join(_spoken(line, self.text) for line in self.lines)


def curves(runs: Runs) -> list[Curve]:
    """What there is to draw of one run, or of several together; a picture without points is left out."""
    measured = (_auc(runs), _loss(runs), _bytes(runs), _survivors(runs), _union(runs), _seconds(runs))
    pictures = (*measured, _epsilon(runs), _epsilon_of_sums(runs))
    return [curve for curve in pictures if any(line.points for line in curve.lines)]


def _auc(runs: Runs) -> Curve:
    lines = _lines(runs, lambda record: record.auc)
    starts = ((0, run.auc_start) for run in runs.values())
    begun = tuple(
        Line(line.name, ((0, start), *line.points) if start is not None else line.points)
        for line, (_, start) in zip(lines, starts, strict=True)
    )
    says = "AUC on held-out clicks; round 0 is before training."
    return Curve("auc", "How well the model ranks", says, begun, numbers.auc_short, ("guessing", 0.5), False)


def _loss(runs: Runs) -> Curve:
    says = "Mean loss of those that trained, each on its own samples, in nats. It is in no message."
    lines = _lines(runs, lambda record: record.loss)
    return Curve("loss", "Loss while training", says, lines, lambda value: f"{value:.3f}", None, False)


def _bytes(runs: Runs) -> Curve:
    if len(runs) == 1:
        (run,) = runs.values()
        up = _lines({"up": run}, lambda record: record.bytes_up_per_client, finished=True)
        lines = up + _lines({"down": run}, lambda record: record.bytes_down_per_client, finished=True)
        says = "One client, one round: up to the server, and down to the client."
    else:
        lines = _lines(runs, lambda r: r.bytes_up_per_client + r.bytes_down_per_client, finished=True)
        says = "One client, one round, up and down together. Runs without masks send no keys."
    return Curve("bytes", "Bytes per client", says, lines, numbers.size)


def _survivors(runs: Runs) -> Curve:
    most = max((record.clients for run in runs.values() for record in run.per_round), default=0)
    lines = _lines(runs, lambda record: record.finishers)
    says = "Clients that answered every message, of those invited."
    return Curve("survivors", "Survivors", says, lines, numbers.whole, ("invited", float(most)))


def _union(runs: Runs) -> Curve:
    lines = _lines(runs, lambda record: record.union_size, finished=True)
    return Curve("union", "Union", "Items that the clients of a round held between them.", lines, numbers.whole)


def _seconds(runs: Runs) -> Curve:
    lines = _lines(runs, lambda record: sum(record.seconds.values()))
    return Curve("seconds", "Seconds", "One round: all clients and the server on one machine.", lines, numbers.seconds)


def _epsilon(runs: Runs) -> Curve:
    masked = {name: run for name, run in runs.items() if not run.plain}
    lines = _lines(masked, lambda r: r.epsilon_claims_spent if isfinite(r.epsilon_claims_spent) else None)
    ceilings = {run.epsilon_claims_ever for run in masked.values()}
    ever = ceilings.pop() if len(ceilings) == 1 else None
    says = "Epsilon of one item, of the client that was invited most often; from the claims alone."
    reference = None if ever is None or not isfinite(ever) else ("ever", ever)
    return Curve("epsilon", "What claims have revealed", says, lines, numbers.epsilon, reference)


def _epsilon_of_sums(runs: Runs) -> Curve:
    masked = {name: run for name, run in runs.items() if not run.plain}
    lines = _lines(masked, lambda record: record.epsilon_sums_spent)
    says = "Epsilon of the updates of the client that was invited most often, from the noise of the sums alone."
    return Curve("epsilon-sums", "What sums have revealed", says, lines, numbers.epsilon)


def title(run: RunSummary) -> str:
    """How far a run has come."""
    failed = run.rounds - run.rounds_completed
    return f"{run.rounds} rounds, {failed or 'none'} of them unfinished: {_sums(run)}"


def _sums(run: RunSummary) -> str:
    if run.plain:
        return "plain, without masks"
    if not run.exact:
        return "A SUM IS NOT EXACT"
    if all(record.checked for record in run.per_round if record.completed):
        return "all sums exact"
    return "nobody has the clear sums to compare"


def best(run: RunSummary) -> str:
    """The highest AUC of a judged round, and when."""
    judged = [(record.auc, record.round) for record in run.per_round if record.auc is not None]
    if not judged:
        return ""
    highest, number = max(judged, key=lambda pair: (pair[0], -pair[1]))
    return f", {numbers.auc(highest)} at best (round {number})"


def _lines(runs: Runs, of: Value, *, finished: bool = False) -> tuple[Line, ...]:
    """`finished`: only of rounds that completed."""
    return tuple(
        Line(name, tuple(_points([record for record in run.per_round if record.completed or not finished], of)))
        for name, run in runs.items()
    )


def _points(records: Sequence[RoundRecord], of: Value) -> list[tuple[int, float]]:
    values = ((record.round, of(record)) for record in records)
    return [(number, float(value)) for number, value in values if value is not None]


def _spoken(line: Line, text: Callable[[float], str]) -> str:
    if not line.points:
        return f"{line.name} unknown"
    (first, begun), (last, ended) = line.points[0], line.points[-1]
    values = [value for _, value in line.points]
    between = f"between {text(min(values))} and {text(max(values))}"
    return f"{line.name} {text(begun)} in round {first}, {text(ended)} in round {last}, {between}"
