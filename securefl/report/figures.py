"""Which plots the page of a run shows, and what each says aloud."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from securefl.report import numbers, plots, story

if TYPE_CHECKING:
    from collections.abc import Iterable

    from securefl.federation.records import RunSummary

__all__ = ["figures"]

EPSILON_ROUNDS = 20
"""The epsilon plot shows at least this many rounds."""


def figures(summary: RunSummary) -> dict[str, str]:
    """SVG by name; a plot that would show nothing is left out."""
    return _costs(summary) | _lost(summary) | _auc(summary) | _epsilon(summary)


def _costs(summary: RunSummary) -> dict[str, str]:
    if not summary.rounds_completed:
        return {}
    phases = story.phases(summary)
    names, durations = [p.label for p in phases], [numbers.seconds(p.seconds) for p in phases]
    sizes = [f"{numbers.size(p.up)} up, {numbers.size(p.down)} down" for p in phases]
    return {
        "bytes": plots.paired_bars(
            names,
            [p.up for p in phases],
            [p.down for p in phases],
            label=_spoken("Bytes per client and step", zip(names, sizes, strict=True)),
        ),
        "seconds": plots.bars(
            names,
            [p.seconds for p in phases],
            durations,
            label=_spoken("Seconds by step", zip(names, durations, strict=True)),
        ),
    }


def _lost(summary: RunSummary) -> dict[str, str]:
    phases = story.phases(summary)
    names, counts = [p.label for p in phases], [str(p.lost) for p in phases]
    label = _spoken("Clients lost by step", zip(names, counts, strict=True))
    return {"lost": plots.bars(names, [p.lost for p in phases], counts, label=label)}


def _auc(summary: RunSummary) -> dict[str, str]:
    values = [summary.auc_start, *(record.auc for record in summary.per_round)]
    if sum(value is not None for value in values) < 2:
        return {}
    spoken = ((f"round {number}", numbers.auc(value)) for number, value in enumerate(values))
    return {"auc": plots.line(values, first=0, guess=0.5, label=_spoken("AUC over rounds", spoken))}


def _epsilon(summary: RunSummary) -> dict[str, str]:
    ceiling = summary.epsilon_claims_ever
    if not isfinite(ceiling) or ceiling <= 0:
        return {}
    response, rounds = story.response(summary), max(EPSILON_ROUNDS, summary.rounds)
    values = [response.epsilon_rounds(r) for r in range(1, rounds + 1)]
    spoken = ((f"after {r} rounds", numbers.epsilon(values[r - 1])) for r in sorted({1, summary.rounds, rounds}))
    return {
        "epsilon": plots.bounded_line(
            values,
            ceiling,
            [r * values[0] for r in range(1, rounds + 1)],
            label=_spoken("Epsilon of an item's claims", [*spoken, ("ever", numbers.epsilon(ceiling))]),
        )
    }


def _spoken(title: str, values: Iterable[tuple[str, str]]) -> str:
    return f"{title}: " + "; ".join(f"{name} {value}" for name, value in values)
