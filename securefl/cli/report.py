"""``securefl report``: the curves of runs, also while they go on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from securefl.errors import ConfigurationError

if TYPE_CHECKING:
    from securefl.federation.records import RunSummary

__all__ = ["report"]


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Folders of securefl train --run.")],
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The page. [dim]default: report.html in the one DIR[/]", show_default=False),
    ] = None,
    json: Annotated[
        str | None, typer.Option(metavar="FILE", help="Everything as JSON; - for standard output.", show_default=False)
    ] = None,
) -> None:
    """Draw the curves of a run, or of several together, into one page: AUC, loss, bytes, survivors, union, epsilon.

    [dim]Examples[/]

    [bold]securefl report runs/first[/]

    [bold]securefl report runs/secure runs/plain --html both.html[/]
    """
    from securefl.cli.console import stderr, stdout
    from securefl.federation.folder import read_run
    from securefl.report import check_writable, render_training, require_plots, training_table, write_text

    if html is None and len(runs) > 1:
        raise ConfigurationError("--html: a page about several runs needs a file; name one")
    page = html or runs[0] / "report.html"
    found = {name: read_run(folder) for name, folder in _names(runs).items()}
    require_plots("--html")
    check_writable(page, "--html")
    if json is not None and json != "-":
        check_writable(Path(json), "--json")
    console = stderr() if json == "-" else stdout()
    for name, run in found.items():
        console.print(f"\n{name}" if len(found) > 1 else "", style="bold", markup=False, end="\n" * (len(found) > 1))
        console.print(training_table(run))
    write_text(page, render_training(found), "--html")
    console.print(f"\n{page}", markup=False, soft_wrap=True)
    _deliver(found, json)


def _deliver(found: dict[str, RunSummary], json: str | None) -> None:
    from securefl.report import runs_to_json, write_text

    if json == "-":
        typer.echo(runs_to_json(found), nl=False)
    elif json is not None:
        write_text(Path(json), runs_to_json(found), "--json")


def _names(folders: list[Path]) -> dict[str, Path]:
    """By the last part of each path, or by the whole of it where that is not enough. Raises ConfigurationError."""
    short = [folder.resolve().name for folder in folders]
    names = [name if short.count(name) == 1 else str(folder) for name, folder in zip(short, folders, strict=True)]
    if len(set(names)) < len(names):
        raise ConfigurationError("DIR: a run is named twice; name each once")
    return dict(zip(names, folders, strict=True))
