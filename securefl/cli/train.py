"""``securefl train``: a long run in a folder of its own, which survives being killed."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from securefl.errors import ConfigurationError, ProtocolError

if TYPE_CHECKING:
    from securefl.cli.tensorboard import TensorBoard
    from securefl.config import Config
    from securefl.engine.kept import Nodes
    from securefl.federation.records import RunSummary

__all__ = ["train"]

WHAT, HOW, OUTPUT = "What to train", "How", "Where the result goes"


class EngineName(StrEnum):
    """Where clients run."""

    LOCAL = "local"
    PROCESSES = "processes"
    FLOWER = "flower"


def _option(panel: str, metavar: str, text: str, *names: str) -> Any:
    return typer.Option(*names, metavar=metavar, help=text, rich_help_panel=panel, show_default=False)


def train(
    run: Annotated[Path, _option(OUTPUT, "DIR", "Metrics, checkpoints, the model. A run in it goes on.")],
    config: Annotated[Path | None, typer.Argument(metavar="[CONFIG.toml]", show_default=False)] = None,
    preset: Annotated[str | None, _option(WHAT, "NAME", "small, taobao or paper. [dim]default: small")] = None,
    assign: Annotated[list[str] | None, _option(WHAT, "KEY=VALUE", "Any other setting; repeatable.", "--set")] = None,
    plain: Annotated[
        bool, typer.Option("--plain", rich_help_panel=HOW, help="No masks, to compare: the same model, bit for bit.")
    ] = False,
    engine: Annotated[
        EngineName,
        typer.Option(rich_help_panel=HOW, help="Clients in this process, in several, or as nodes of Flower (Ray)."),
    ] = EngineName.PROCESSES,
    processes: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=64, rich_help_panel=HOW, help="Workers. [dim]default: one a core"),
    ] = None,
    json: Annotated[str | None, _option(OUTPUT, "FILE", "Everything as JSON; - for standard output.")] = None,
    ledger: Annotated[Path | None, _option(OUTPUT, "FILE", "What each round released, for securefl audit.")] = None,
) -> None:
    """Train for as long as it takes; killed at any moment, the same command goes on where it was.

    CONFIG.toml holds the settings that demo and audit take. Metrics are in DIR/metrics.jsonl, a line a round; with
    tensorboardX installed also in DIR/tensorboard. `securefl report DIR` draws them.

    [dim]Examples[/]

    [bold]securefl train mine.toml --run runs/first[/]

    [bold]securefl train --run runs/small --set cohort.rounds=200 --set run.evaluate_every=5[/]

    [bold]securefl train mine.toml --run runs/plain --plain[/]

    [bold]securefl train mine.toml --run runs/first --ledger first.db[/], then [bold]securefl audit --ledger first.db[/]
    """
    from securefl.cli.demo import available_cores
    from securefl.cli.settings import configuration
    from securefl.config import validate
    from securefl.report import check_writable

    settings = configuration(preset, config, {}, assign or [])
    validate(settings)
    if json is not None and json != "-":
        check_writable(Path(json), "--json")
    workers = 1 if engine is EngineName.LOCAL else processes or available_cores()
    nodes = _flower_nodes() if engine is EngineName.FLOWER else None
    summary = _run(settings, run, workers, ledger, nodes, plain=plain)
    _deliver(summary, json)
    _judge(summary)


def _flower_nodes() -> Nodes:
    """Flower and Ray talk to nobody outside. Raises ConfigurationError without the extra."""
    os.environ.update(FLWR_TELEMETRY_ENABLED="0", FLWR_DISABLE_UPDATE_CHECK="1", RAY_USAGE_STATS_ENABLED="0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # what Ray is going to do, and warns of
    try:
        from securefl.engine.flower import simulated
    except ModuleNotFoundError:
        raise ConfigurationError("--engine flower: needs flwr; install the extra: pip install '.[flower]'") from None
    return simulated.play


def _run(
    config: Config, directory: Path, processes: int, ledger: Path | None, nodes: Nodes | None, *, plain: bool
) -> RunSummary:
    from securefl.cli.console import TerminalProgress, stderr
    from securefl.cli.demo import click_log
    from securefl.config import warnings
    from securefl.engine import kept
    from securefl.federation.progress import Silent, Together

    console = stderr()
    for warning in warnings(config):
        console.print(f"warning: {warning}", style="yellow", markup=False, soft_wrap=True)
    log = click_log(config, console)
    if nodes is not None:
        from securefl.engine.flower.simulated import check_users

        check_users(log.users)  # before there is a folder
    with TerminalProgress(console) as progress, _board(directory) as board:
        listeners = Together(progress, board or Silent())
        return kept.train(
            config, log, directory, listeners, processes=processes, plain=plain, ledger=ledger, nodes=nodes
        )


def _board(directory: Path) -> AbstractContextManager[TensorBoard | None]:
    from securefl.cli.tensorboard import TensorBoard

    return TensorBoard(directory / "tensorboard") if TensorBoard.installed() else nullcontext()


def _deliver(summary: RunSummary, json: str | None) -> None:
    """The table (on standard error when standard output is for JSON), then the file."""
    from securefl.cli.console import stderr, stdout
    from securefl.report import to_json, training_table, write_text

    (stderr() if json == "-" else stdout()).print(training_table(summary))
    if json == "-":
        typer.echo(to_json(summary), nl=False)
    elif json is not None:
        write_text(Path(json), to_json(summary), "--json")


def _judge(summary: RunSummary) -> None:
    """Raise ProtocolError if no round finished or a sum is wrong; that some rounds fail is what long runs are like."""
    if not summary.exact:
        raise ProtocolError("a secure sum differs from the clear one: this is a defect, please report it")
    if not summary.rounds_completed:
        reason = next((record.abort for record in summary.per_round if record.abort), "too few clients were left")
        raise ProtocolError(f"none of {summary.rounds} rounds could finish: {reason}")
