"""The command line: one file per command, one place where an error becomes a sentence and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from securefl import __version__
from securefl.cli.advise import advise
from securefl.cli.audit import audit
from securefl.cli.demo import demo
from securefl.cli.infer import infer
from securefl.cli.node import node
from securefl.cli.report import report
from securefl.cli.train import train
from securefl.errors import ConfigurationError, SecureFLError

__all__ = ["main", "run"]

DONE, BAD_INPUT, UNFINISHED, INTERRUPTED = 0, 2, 3, 130
EXIT_CODES = (
    "Exit codes: 0 done; 1 an unexpected crash; 2 bad input, configuration or usage; "
    "3 the protocol could not finish; 4 the audit warns; 5 the audit fails; 130 interrupted."
)

app = typer.Typer(
    name="securefl",
    help="Train a recommender on data that stays with its owners: secure sums of the rows each client needs.",
    epilog=EXIT_CODES,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(epilog=EXIT_CODES)(demo)
app.command(epilog=EXIT_CODES)(train)
app.command(epilog=EXIT_CODES)(report)
app.command(epilog=EXIT_CODES)(infer)
app.command(epilog=EXIT_CODES)(audit)
app.command(epilog=EXIT_CODES)(advise)
app.command(epilog=EXIT_CODES)(node)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version and exit."),
) -> None:
    """Print the version, or say which commands there are."""
    if version:
        typer.echo(f"securefl {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(BAD_INPUT)


def main() -> None:
    """The ``securefl`` command. Never returns."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; an unexpected exception passes through."""
    try:
        app(list(arguments), prog_name="securefl")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else DONE
        return _say("interrupted", INTERRUPTED) if code == INTERRUPTED else code
    except ConfigurationError as error:
        return _say(str(error), BAD_INPUT)
    except SecureFLError as error:
        return _say(str(error), UNFINISHED)
    except KeyboardInterrupt:
        return _say("interrupted", INTERRUPTED)
    return DONE


def _say(sentence: str, code: int) -> int:
    typer.echo(f"securefl: {sentence}", err=True)
    return code
