"""Advice on a terminal: what to set, what it gives and costs, and the other odds there were."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from securefl.report import numbers

if TYPE_CHECKING:
    from rich.console import RenderableType

    from securefl.audit.adviser import Advice, Offer

__all__ = ["COLUMNS", "advice_table", "headline", "proposal", "cells"]

COLUMNS = ("p", "eps round", "eps ever", "guess", "rows", "honest", "go up", "bytes")
"""Of the trade-off: p of the odds p, 1 - p, p, 1 - p; right guesses from one round; rows claimed; honest claimants of a
row that goes up; share of the rows with one holder that do; bytes of a client and round."""


def advice_table(advice: Advice) -> RenderableType:
    """For a rich console of any width and colour."""
    return Group(Text(headline(advice), style="bold"), Text(), _proposal(advice), Text(), _tradeoff(advice))


def headline(advice: Advice) -> str:
    """The first line, for people."""
    offer = advice.proposed
    return (
        f"{numbers.size(offer.traffic.total)} a client and round; an index: eps {offer.epsilon_round:.2f} a round, "
        f"{offer.epsilon_ever:.2f} ever; aggregates: unbounded without central noise"
    )


def _proposal(advice: Advice) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for row in proposal(advice):
        table.add_row(*row)
    return table


def proposal(advice: Advice) -> list[tuple[str, str, str]]:
    """What to set, as (name, value, why)."""
    offer, wish = advice.proposed, advice.wish
    config, plan = offer.config, offer.union
    n, honest = config.cohort.clients, config.min_survivors - config.colluders
    told = [
        ("threshold", str(config.threshold), f"of {n - 1} others; {honest} honest inputs in any sum"),
        ("survivors", str(config.min_survivors), f"of {n}; a round fails with probability {advice.failure:.1g}"),
        ("degree", str(config.degree), "complete: a submodel round joins everybody"),
        ("ring bits", str(config.secagg.ring_bits), "no sum of 16-bit updates with weights up to 512 wraps"),
        (
            "odds",
            str(config.response).split(",", 1)[0],
            f"p of p, 1-p, p, 1-p; a guess is right {offer.guess_rate:.0%}",
        ),
        (
            "row floor",
            str(config.row_floor_of(n)),
            f"{config.privacy.honest_claimants} honest; {offer.goes_up:.0%} go up",
        ),
        ("union", plan.kind, _union(advice)),
        ("cost", numbers.size(offer.traffic.total), _cost(offer)),
    ]
    if wish.shards > 1:
        told.insert(0, ("shards", str(wish.shards), f"of {wish.shard} clients or one more, each with all corrupt ones"))
    if advice.sparse:
        told.append(("plain sums", f"{advice.sparse[0]}, {advice.sparse[1]}", "smallest safe degree and threshold"))
    return told


def _union(advice: Advice) -> str:
    plan = advice.proposed.union
    hashes = f", {plan.hashes} hashes" if plan.kind == "filter" else ""
    return f"{plan.cells:,} cells of {plan.bits} bits{hashes}; {plan.expected_false:,.0f} false indices"


def _cost(offer: Offer) -> str:
    up, down = numbers.size(offer.traffic.up), numbers.size(offer.traffic.down)
    return f"a client and round: {up} up, {down} down, {offer.claims:,.0f} rows claimed"


def _tradeoff(advice: Advice) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("")
    for header in COLUMNS:
        table.add_column(header, justify="left" if header == "p" else "right", no_wrap=True)
    for offer in advice.others:
        chosen = offer is advice.proposed
        table.add_row(">" if chosen else "", *cells(offer), style="bold" if chosen else None)
    return table


def cells(offer: Offer) -> tuple[str, ...]:
    """One choice of odds, a text for each of `COLUMNS`."""
    return (
        str(offer.config.response.p1),
        f"{offer.epsilon_round:.2f}",
        f"{offer.epsilon_ever:.2f}",
        f"{offer.guess_rate:.0%}",
        numbers.whole(round(offer.claims)),
        str(offer.config.privacy.honest_claimants),
        f"{offer.goes_up:.0%}",
        numbers.size(offer.traffic.total),
    )
