"""``securefl infer``: plan a model, run it, and say what it takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from securefl.errors import ConfigurationError

if TYPE_CHECKING:
    from rich.table import Table

    from securefl.inference import Session
    from securefl.inference.timing import Timing

__all__ = ["infer"]

CANDIDATES, HISTORY = 16, 50
"""Sizes at which an exported submodel is measured."""


def infer(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="ONNX, a submodel of `demo --export`, or prepared.")],
    shape: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=1,3,224,224", help="Shape of an input; repeatable.", show_default=False),
    ] = None,
    backend: Annotated[
        str, typer.Option(metavar="NAME", help="auto, native, numpy, onnxruntime, mnn; or a list.")
    ] = "auto",
    precision: Annotated[str, typer.Option(metavar="KIND", help="fp32, or int8 for weights and embeddings.")] = "fp32",
    threads: Annotated[int, typer.Option(metavar="N", help="Threads that share one run.")] = 1,
    runs: Annotated[int, typer.Option(metavar="N", min=1, max=1_000_000, help="Timed runs.")] = 50,
    profile: Annotated[bool, typer.Option("--profile", help="Every operation: where, how, how long.")] = False,
    save: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the prepared model, to be mapped.", show_default=False)
    ] = None,
    json: Annotated[
        str | None, typer.Option(metavar="FILE", help="Everything as JSON; - for standard output.", show_default=False)
    ] = None,
) -> None:
    """Run a model on this machine with random inputs: time, memory, and what the planner chose.

    The first run is timed apart. Nothing is compared here: benchmarks/inference_vs_peers.py does that.

    [dim]Examples[/]

    [bold]securefl infer net.onnx --profile[/]

    [bold]securefl infer phone/submodel.safetensors --precision int8 --json -[/]
    """
    from securefl.cli.console import stderr, stdout
    from securefl.inference import save_prepared
    from securefl.inference.timing import time_session
    from securefl.report import check_writable, write_text

    if json is not None and json != "-":
        check_writable(Path(json), "--json")
    if save is not None:
        check_writable(save, "--save")
    session = _session(model, _shapes(shape or []), backend, precision, threads)
    timing = time_session(session, runs, profile=profile)
    (stderr() if json == "-" else stdout()).print(*_tables(timing, profile=profile))
    if save is not None:
        save_prepared(session, save)
    if json == "-":
        typer.echo(timing.to_json(), nl=False)
    elif json is not None:
        write_text(Path(json), timing.to_json(), "--json")


def _shapes(texts: list[str]) -> dict[str, tuple[int, ...]]:
    shapes = dict[str, tuple[int, ...]]()
    for text in texts:
        name, equals, sizes = text.partition("=")
        parts = sizes.split(",")
        if not equals or not all(part.strip().isdecimal() for part in parts):
            raise ConfigurationError(f"--shape: got {text!r}; use name=sizes, such as input=1,3,224,224")
        shapes[name.strip()] = tuple(int(part) for part in parts)
    return shapes


def _session(path: Path, shapes: dict[str, tuple[int, ...]], backend: str, precision: str, threads: int) -> Session:
    """By what the file begins with; ONNX has no mark of its own."""
    from securefl.inference import Session, din_graph, load_prepared, load_submodel
    from securefl.inference.onnx import load_onnx
    from securefl.inference.prepared import MAGIC

    names = tuple(name.strip() for name in backend.split(","))
    settings: dict[str, Any] = {"backend": names if len(names) > 1 else names[0], "threads": threads}
    if _begins_with(path, MAGIC):
        return load_prepared(path, **settings, **({} if precision == "fp32" else {"precision": precision}))
    settings["precision"] = precision
    if path.suffix == ".safetensors":
        return Session(din_graph(load_submodel(path), CANDIDATES, HISTORY), **settings)
    return Session(load_onnx(path, shapes), **settings)


def _begins_with(path: Path, magic: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(magic)) == magic
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None


def _tables(timing: Timing, *, profile: bool) -> list[Table]:
    from rich.table import Table

    from securefl.inference.planning import Table as Operations

    summary = Table(box=None, show_header=False, pad_edge=False)
    summary.add_column(style="dim")
    for name, value in timing.lines():
        summary.add_row(name, value)
    if not profile:
        return [summary]
    table = Table(*Operations.COLUMNS, box=None, pad_edge=False)
    for row in timing.operations:
        table.add_row(*row.cells())
    return [summary, table]
