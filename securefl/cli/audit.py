"""``securefl audit``: what a configuration, or a run, really protects."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from securefl.errors import ConfigurationError

if TYPE_CHECKING:
    from securefl.config import Config
    from securefl.store import SqliteDisclosures

__all__ = ["audit"]

WHAT, HOW, OUTPUT = "What to audit", "How", "Where the result goes"


def _option(panel: str, metavar: str, text: str, *names: str) -> Any:
    return typer.Option(*names, metavar=metavar, help=text, rich_help_panel=panel, show_default=False)


def audit(
    config: Annotated[Path | None, typer.Argument(metavar="CONFIG.toml", show_default=False)] = None,
    preset: Annotated[str | None, _option(WHAT, "NAME", "Shipped settings: small, taobao or paper.")] = None,
    ledger: Annotated[Path | None, _option(WHAT, "FILE", "A run as well: what --ledger recorded.")] = None,
    assign: Annotated[list[str] | None, _option(WHAT, "KEY=VALUE", "Any other setting; repeatable.", "--set")] = None,
    rounds: Annotated[int | None, _option(HOW, "R", "Rounds that are planned. [dim]default: cohort.rounds")] = None,
    empirical: Annotated[
        bool, typer.Option("--empirical", rich_help_panel=HOW, help="Attack the sampler, and play a guessing server.")
    ] = False,
    seed: Annotated[int | None, _option(HOW, "N", "Repeat an attack on the sampler.")] = None,
    accept: Annotated[list[str] | None, _option(HOW, "ID", "A warning you know of; repeatable. Still told.")] = None,
    json: Annotated[str | None, _option(OUTPUT, "FILE", "Every finding as JSON; - for standard output.")] = None,
    html: Annotated[Path | None, _option(OUTPUT, "FILE", "A page with curves, HTML in one file.")] = None,
    certificate: Annotated[Path | None, _option(OUTPUT, "FILE", "Fractions and witnesses anybody can check.")] = None,
) -> None:
    """Tell what parameters really protect, before anybody's data meets them.

    CONFIG.toml holds the settings that demo takes; a preset or the ledger of a run will do instead.

    Every finding has a number, its bound, its formula and its source, a verdict, and what to change.

    [dim]Examples[/]

    [bold]securefl audit --preset small[/]

    [bold]securefl audit mine.toml --rounds 1000 --html audit.html[/]

    [bold]securefl audit mine.toml --set privacy.response=3/4 --json -[/]

    [bold]securefl audit mine.toml --accept central-noise --accept union-leakage[/]

    [bold]securefl demo --ledger run.db[/], then [bold]securefl audit --ledger run.db --empirical[/]
    """
    from securefl.audit import audit as examine
    from securefl.cli.outputs import check_outputs, deliver, json_file
    from securefl.report import audit_table, render_audit, to_json

    outputs = {"--json": json_file(json), "--html": html, "--certificate": certificate}
    with _opened(ledger) as disclosures:
        settings = _settings(config, preset, assign or [], disclosures)
        check_outputs(outputs)
        found = examine(
            settings, rounds=rounds, accept=accept or (), ledger=disclosures, empirical=empirical, seed=seed
        )
    made = {
        "--json": lambda: to_json(found),
        "--html": lambda: render_audit(found),
        "--certificate": lambda: found.certificate,
    }
    deliver(audit_table(found), json, outputs, made)
    raise typer.Exit(found.exit_code)


def _opened(ledger: Path | None) -> AbstractContextManager[SqliteDisclosures | None]:
    from securefl.store import SqliteDisclosures

    if ledger is not None and not ledger.exists():  # opening would make it
        raise ConfigurationError(f"--ledger: {ledger} is not there; name a file that demo or train --ledger wrote")
    return nullcontext() if ledger is None else SqliteDisclosures(ledger)


def _settings(
    config: Path | None, preset: str | None, assign: list[str], disclosures: SqliteDisclosures | None
) -> Config:
    """From a file, a preset, or the latest run of the ledger; then ``--set``."""
    from securefl.cli.settings import configuration, overridden
    from securefl.config import from_table

    if config is not None or preset is not None:
        return configuration(preset, config, {}, assign)
    if disclosures is None:
        raise ConfigurationError("CONFIG.toml: name a file of settings, a preset with --preset, or a run with --ledger")
    runs = disclosures.runs()
    if not runs:
        raise ConfigurationError("--ledger: no run is recorded in it; name the ledger of a run")
    return overridden(from_table(runs[-1].settings), assign)
