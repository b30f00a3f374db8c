"""``securefl advise``: parameters for a wish, with what they cost."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["advise"]

WHO, WHAT, OUTPUT = "Who takes part", "What to protect", "Where the result goes"


def _option(panel: str, metavar: str, text: str) -> Any:
    return typer.Option(metavar=metavar, help=text, rich_help_panel=panel, show_default=False)


def advise(
    clients: Annotated[int, _option(WHO, "N", "Clients in a round.")],
    dropout: Annotated[float, _option(WHO, "R", "Chance to be lost in a round.")],
    corrupt: Annotated[int, _option(WHO, "C", "Clients that may work with the server.")],
    epsilon: Annotated[float, _option(WHAT, "E", "Of an index, ever, from claims.")],
    universe: Annotated[int, _option(WHAT, "V", "Indices there are.")],
    typical_set: Annotated[int, _option(WHAT, "S", "Indices of a client.")],
    union: Annotated[
        int | None, _option(WHAT, "U", "Indices of a cohort together. [dim]default: as if no two clients shared one")
    ] = None,
    categories: Annotated[int, _option(WHAT, "K", "Rows of a second table. [dim]default: none")] = 0,
    dim: Annotated[int, _option(WHAT, "D", "Numbers in a row. [dim]default: 18")] = 18,
    malicious: Annotated[
        bool, typer.Option("--malicious", rich_help_panel=WHO, help="The server may lie to clients.")
    ] = False,
    toml: Annotated[Path | None, _option(OUTPUT, "FILE", "The proposal, for demo, train and audit.")] = None,
    html: Annotated[Path | None, _option(OUTPUT, "FILE", "A page with curves, HTML in one file.")] = None,
    json: Annotated[str | None, _option(OUTPUT, "FILE", "Everything as JSON; - for standard output.")] = None,
) -> None:
    """Propose parameters: threshold, degree, ring, union plan, odds, and what they cost.

    The highest threshold that losses allow, the highest row floor that rows reach, the clearest odds that keep epsilon.

    A table, and a page with --html, show what more or less doubt would cost.

    [dim]Examples[/]

    [bold]securefl advise --clients 100 --dropout 0.1 --corrupt 5 --epsilon 2 --universe 20000 --typical-set 40[/]

    [bold]securefl advise --clients 1000 --dropout 0.05 --corrupt 9 --epsilon 1 --universe 1000000 --typical-set 50[/]

    [bold]securefl advise[/] ... [bold]--union 5300 --toml mine.toml[/], then [bold]securefl audit mine.toml[/]
    """
    from securefl.audit.adviser import Wish
    from securefl.audit.adviser import advise as propose
    from securefl.cli.outputs import check_outputs, deliver, json_file
    from securefl.report import advice_table, advice_to_json, render_advice

    outputs = {"--json": json_file(json), "--html": html, "--toml": toml}
    check_outputs(outputs)
    advice = propose(Wish(clients, dropout, corrupt, epsilon, universe, typical_set, union, categories, malicious, dim))
    made = {
        "--json": lambda: advice_to_json(advice),
        "--html": lambda: render_advice(advice),
        "--toml": lambda: advice.toml,
    }
    deliver(advice_table(advice), json, outputs, made)
