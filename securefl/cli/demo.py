"""``securefl demo``: a few rounds of secure submodel learning, measured, and checked against the clear sums."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from securefl.errors import ConfigurationError, ProtocolError

if TYPE_CHECKING:
    from rich.console import Console

    from securefl.config import Config
    from securefl.datasets import ClickLog
    from securefl.federation.records import RunSummary
    from securefl.store import SqliteDisclosures

__all__ = ["available_cores", "click_log", "demo"]

RUN, PROTECTION, OUTPUT = "What to run", "What to protect", "Where the result goes"


def _option(panel: str, metavar: str, text: str, *names: str) -> Any:
    return typer.Option(*names, metavar=metavar, help=text, rich_help_panel=panel, show_default=False)


def demo(
    data: Annotated[Path | None, _option(RUN, "FILE", "A click log. [dim]default: a synthetic one")] = None,
    preset: Annotated[str | None, _option(RUN, "NAME", "small, taobao or paper. [dim]default: small")] = None,
    config: Annotated[Path | None, _option(RUN, "FILE", "Your own settings (TOML) instead of a preset.")] = None,
    clients: Annotated[int | None, _option(RUN, "N", "Clients in a round. [dim]preset: 100")] = None,
    rounds: Annotated[int | None, _option(RUN, "N", "Rounds. [dim]preset: 5")] = None,
    dropout: Annotated[float | None, _option(RUN, "P", "Chance to be lost in a round. [dim]preset: 0.1")] = None,
    seed: Annotated[str | None, _option(RUN, "N", "Repeat a simulation; none: do not. [dim]preset: 0")] = None,
    setting: Annotated[
        str | None,
        _option(PROTECTION, "NAME", "The server: semi_honest, or malicious: it may lie. [dim]preset: semi_honest"),
    ] = None,
    kem: Annotated[
        str | None,
        _option(PROTECTION, "SUITE", "Key exchange: x25519, or x25519-mlkem768, the hybrid. [dim]preset: the hybrid"),
    ] = None,
    privacy: Annotated[
        str | None,
        _option(PROTECTION, "ODDS", "Of claims: 15/16, 7/8, 3/4, none, union, or p1,p2,p3,p4. [dim]preset: 7/8"),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=64, rich_help_panel=RUN, help="Workers. [dim]default: one a core"),
    ] = None,
    assign: Annotated[
        list[str] | None, _option(PROTECTION, "KEY=VALUE", "Any other setting; repeatable.", "--set")
    ] = None,
    json: Annotated[str | None, _option(OUTPUT, "FILE", "Everything as JSON; - for standard output.")] = None,
    report: Annotated[Path | None, _option(OUTPUT, "FILE", "A page with plots, HTML in one file.")] = None,
    export: Annotated[Path | None, _option(OUTPUT, "DIR", "One client's trained submodel, to rank with.")] = None,
    ledger: Annotated[Path | None, _option(OUTPUT, "FILE", "What each round released, for securefl audit.")] = None,
) -> None:
    """Run a few rounds on this machine: what they cost, what the model learned, and what stayed hidden.

    Every client and the server really run the protocol, and every secure sum is compared with the clear one.

    [dim]Examples[/]

    [bold]securefl demo[/]

    [bold]securefl demo --clients 40 --rounds 3 --dropout 0.2 --report demo.html[/]

    [bold]securefl demo --data clicks.csv --privacy 3/4 --json -[/]

    [bold]securefl demo --set privacy.honest_claimants=3 --set training.learning_rate=0.5[/]

    [bold]securefl demo --rounds 10 --ledger run.db[/], then [bold]securefl audit --ledger run.db[/]
    """
    from securefl.cli.export import check_folder
    from securefl.cli.settings import configuration
    from securefl.config import validate

    options = {
        "data.path": data and str(data),
        "cohort.clients": clients,
        "cohort.rounds": rounds,
        "cohort.dropout": dropout,
        "cohort.seed": seed,
        "secagg.setting": setting,
        "secagg.kem": kem,
        "privacy.response": privacy,
    }
    settings = configuration(preset, config, options, assign or [])
    validate(settings)
    _check_outputs(json, report)
    if export is not None:
        check_folder(export, "--export")
    summary = _run(settings, processes or available_cores(), export, ledger)
    _deliver(summary, json, report)
    _judge(summary)


def _check_outputs(json: str | None, report: Path | None) -> None:
    """Before the long work: a page can be drawn, and both files can be written."""
    from securefl.report import check_writable, require_plots

    if report is not None and str(report) in ("-", json):
        raise ConfigurationError("--report: the page needs a file of its own; name one")
    if report is not None:
        require_plots("--report")
        check_writable(report, "--report")
    if json is not None and json != "-":
        check_writable(Path(json), "--json")


def available_cores() -> int:
    """Cores this process may use, at most 8: a round has a serial part too."""
    return min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def _run(config: Config, processes: int, export: Path | None, ledger: Path | None) -> RunSummary:
    from securefl.cli.console import TerminalProgress, stderr
    from securefl.cli.export import exporter
    from securefl.config import warnings
    from securefl.engine import local

    console = stderr()
    for warning in warnings(config):
        console.print(f"warning: {warning}", style="yellow", markup=False, soft_wrap=True)
    log = click_log(config, console)
    keep = None if export is None else exporter(log, export)
    with _disclosures(ledger) as disclosures, TerminalProgress(console) as progress:
        return local.run(config, log, progress, processes=processes, keep=keep, disclosures=disclosures)


def _disclosures(ledger: Path | None) -> AbstractContextManager[SqliteDisclosures | None]:
    from securefl.store import SqliteDisclosures

    return nullcontext() if ledger is None else SqliteDisclosures(ledger)


def click_log(config: Config, console: Console) -> ClickLog:
    """The data, from the file or out of the seed; even a run with no seed has the same synthetic log each time."""
    from securefl.datasets import load_click_log
    from securefl.datasets.synthetic import synthetic_click_log

    with console.status("reading the click log"):
        if config.data.path is not None:
            return load_click_log(config.data.path, seed=config.cohort.seed or 0)
        return synthetic_click_log(config.data.generator, seed=config.cohort.seed or 0)


def _deliver(summary: RunSummary, json: str | None, report: Path | None) -> None:
    """The table (on standard error when standard output is for JSON), then the files."""
    from securefl.cli.console import stderr, stdout
    from securefl.report import render_page, summary_table, to_json, write_text

    (stderr() if json == "-" else stdout()).print(summary_table(summary))
    if json == "-":
        typer.echo(to_json(summary), nl=False)
    elif json is not None:
        write_text(Path(json), to_json(summary), "--json")
    if report is not None:
        write_text(report, render_page(summary), "--report")


def _judge(summary: RunSummary) -> None:
    """Raise ProtocolError if a round did not finish, or a secure sum is not the clear one."""
    if not summary.exact:
        raise ProtocolError("a secure sum differs from the clear one: this is a defect, please report it")
    if summary.rounds_completed < summary.rounds:
        missing = summary.rounds - summary.rounds_completed
        reason = next((record.abort for record in summary.per_round if record.abort), "too few clients were left")
        raise ProtocolError(f"{missing} of {summary.rounds} rounds could not finish: {reason}")
