"""Where a command's result goes: a table for people, and the files that were asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from securefl.errors import ConfigurationError

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["json_file", "check_outputs", "deliver"]


def json_file(json: str | None) -> Path | None:
    """The file that ``--json`` names; None if it names none, or standard output."""
    return None if json in (None, "-") else Path(str(json))


def check_outputs(outputs: Mapping[str, Path | None]) -> None:
    """Before the work: a page can be drawn, and every file can be written. Raises ConfigurationError."""
    from securefl.report import check_writable, require_plots

    files = {option: path for option, path in outputs.items() if path is not None}
    for option, path in files.items():
        if str(path) == "-" or list(files.values()).count(path) > 1:
            raise ConfigurationError(f"{option}: it needs a file of its own; name one")
        if option == "--html":
            require_plots(option)
        check_writable(path, option)


def deliver(
    table: RenderableType, json: str | None, outputs: Mapping[str, Path | None], made: Mapping[str, Callable[[], str]]
) -> None:
    """The table (on standard error when standard output is for JSON), then each file as ``made`` says."""
    from securefl.cli.console import stderr, stdout
    from securefl.report import write_text

    (stderr() if json == "-" else stdout()).print(table)
    if json == "-":
        typer.echo(made["--json"](), nl=False)
    for option, path in outputs.items():
        if path is not None:
            write_text(path, made[option](), option)
