"""Files of models from somebody else: how they are written and used, and what must hold whatever is in them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from dins import trained
from test_inference_images import residual_net

from securefl.inference import (
    InputError,
    ModelError,
    Ranker,
    Session,
    UnsupportedOperatorError,
    load_prepared,
    load_submodel,
    save_prepared,
    save_submodel,
)
from securefl.inference.onnx import load_onnx, save_onnx

NAMED = (ModelError, InputError, UnsupportedOperatorError)


class Way(NamedTuple):
    """One kind of file."""

    save: Callable[[Path], None]
    run: Callable[[Path], None]
    header: int
    """Where the eight bytes with the length of its JSON header stand; -1: it has none."""


def save_net(path: Path) -> None:
    b = residual_net(0, 3, (9, 8), 1)
    save_prepared(Session(b.graph(b.out), precision="int8"), path)  # type: ignore[attr-defined]


def save_as_onnx(path: Path) -> None:
    b = residual_net(0, 3, (12, 12), 1)
    save_onnx(b.graph(b.out), path)  # type: ignore[attr-defined]


def run_example(session: Session) -> None:
    session.run(session.example())


def rank(path: Path) -> None:
    model = load_submodel(path)
    Ranker(model, candidates=2, history=3).rank(model.items[:2], model.items[1:5])


WAYS = {
    "prepared": Way(save_net, lambda path: run_example(load_prepared(path)), 8),
    "submodel": Way(lambda path: save_submodel(trained(0).submodel(), path), rank, 0),
    "onnx": Way(save_as_onnx, lambda path: run_example(Session(load_onnx(path))), -1),
}


@cache
def content(kind: str) -> bytes:
    """A sound file."""
    with TemporaryDirectory() as folder:
        WAYS[kind].save(Path(folder) / "file")
        return (Path(folder) / "file").read_bytes()


def accepted_or_named(kind: str, data: bytes) -> None:
    """Loads and runs, or raises what the caller can show."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(data)
        try:
            WAYS[kind].run(path)
        except NAMED as error:
            assert str(error)  # noqa: PT017 - a few changes are harmless, all others are named
