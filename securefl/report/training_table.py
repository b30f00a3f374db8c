"""A long run on a terminal: how far it came, how well, and what it cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from securefl.report import numbers, story
from securefl.report.curves import best, title

if TYPE_CHECKING:
    from rich.console import RenderableType

    from securefl.federation.records import RunSummary

__all__ = ["training_table", "outcome"]


def training_table(summary: RunSummary) -> RenderableType:
    """For a rich console of any width and colour."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for name, value in outcome(summary):
        table.add_row(name, value)
    return Group(Text(title(summary), style="bold"), Text(), table)


def outcome(summary: RunSummary) -> list[tuple[str, str]]:
    """The lines under the title, as (name, value)."""
    sent = summary.bytes_up_per_client + summary.bytes_down_per_client
    saved = story.savings(summary)
    against = f", {numbers.times(saved)} less than the whole model, as secure" if saved and not summary.plain else ""
    lost, invited = sum(summary.dropouts.values()), sum(record.clients for record in summary.per_round)
    losses = [record.loss for record in summary.per_round if record.loss is not None]
    return [
        ("AUC", f"{numbers.auc(summary.auc_start)} before, {numbers.auc(summary.auc_end)} after{best(summary)}"),
        ("loss of those that train", f"{losses[0]:.4f} first, {losses[-1]:.4f} last" if losses else numbers.NOTHING),
        ("per client and round", f"{numbers.size(sent)}, up and down together{against}"),
        ("union", f"{numbers.whole(summary.union_size)} items a round"),
        ("lost on the way", f"{lost:,} of {invited:,} invited clients"),
        ("epsilon of the claims", _epsilon(summary)),
        ("seconds", numbers.seconds(sum(summary.seconds.values()))),
    ]


def _epsilon(summary: RunSummary) -> str:
    if summary.plain:
        return "not told: this run had no masks, and its server saw every input"
    spent = max((record.epsilon_claims_spent for record in summary.per_round), default=0.0)
    ever = numbers.epsilon(summary.epsilon_claims_ever)
    simulated = "" if summary.private else "; a simulation, not private"
    return f"{numbers.epsilon(spent)} an item so far, {ever} ever; {story.aggregates(summary)}{simulated}"
