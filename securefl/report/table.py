"""A run as a table of a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from securefl.report import numbers, story

if TYPE_CHECKING:
    from rich.console import RenderableType

    from securefl.federation.records import RunSummary

__all__ = ["summary_table"]

STYLES = {"good": "bold green", "warn": "bold yellow", "bad": "bold red"}


def summary_table(summary: RunSummary) -> RenderableType:
    """Verdict, phases and outcome, for a rich console of any width and colour."""
    verdict = story.verdict(summary)
    return Group(
        Text(verdict.title, style=STYLES[verdict.tone]),
        Text(verdict.text),
        Text(),
        _phases(summary),
        Text(),
        _outcome(summary),
    )


def _phases(summary: RunSummary) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", show_footer=True, footer_style="bold")
    rows = story.phases(summary)
    up, down = summary.bytes_up_per_client, summary.bytes_down_per_client
    table.add_column("mean round", "all phases")
    for header, footer in (
        ("seconds", numbers.seconds(sum(row.seconds for row in rows))),
        ("up/client", numbers.size(up)),
        ("down/client", numbers.size(down)),
        ("lost", str(sum(row.lost for row in rows))),
    ):
        table.add_column(header, footer, justify="right", no_wrap=True)
    for row in rows:
        sizes = numbers.size(row.up), numbers.size(row.down)
        table.add_row(row.label, numbers.seconds(row.seconds), *sizes, str(row.lost))
    return table


def _outcome(summary: RunSummary) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for name, value in outcome(summary):
        table.add_row(name, value)
    return table


def outcome(summary: RunSummary) -> list[tuple[str, str]]:
    """The lines under the phases, as (name, value)."""
    sent = summary.bytes_up_per_client + summary.bytes_down_per_client
    saved = story.savings(summary)
    against = f" ({numbers.times(saved)} this)" if saved else ""
    return [
        ("per client and round", f"{numbers.size(sent)}, up and down together"),
        ("full model, as secure", f"{numbers.size(summary.full_model_bytes)}{against}"),
        ("union", f"{numbers.whole(summary.union_size)} items a round"),
        ("left out by row floor", f"{numbers.whole(summary.rows_left_out)} rows a round"),
        ("epsilon of the claims", _epsilon(summary)),
        ("AUC", f"{numbers.auc(summary.auc_start)} before, {numbers.auc(summary.auc_end)} after"),
        ("not protected", ", ".join(name.lower() for name, _ in story.not_protected(summary))),
    ]


def _epsilon(summary: RunSummary) -> str:
    now, ever = numbers.epsilon(summary.epsilon_claims_round), numbers.epsilon(summary.epsilon_claims_ever)
    return f"{now} an item this round, {ever} ever; {story.aggregates(summary)}"
