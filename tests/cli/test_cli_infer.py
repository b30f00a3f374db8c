"""``securefl infer``: files in; figures, JSON and named errors out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from securefl.inference import Graph, Node, Spec, Submodel, save_submodel
from securefl.inference.onnx import save_onnx
from securefl.models.network import dense_size

if TYPE_CHECKING:
    from test_cli_demo import Command


@pytest.fixture
def net(tmp_path: Path) -> Path:
    weights = np.random.default_rng(0).standard_normal((8, 3, 3, 3), np.float32)
    nodes = (Node("Conv", ("x", "w"), ("y",), {"pads": (1, 1, 1, 1)}), Node("Relu", ("y",), ("out",)))
    save_onnx(Graph(nodes, {"x": Spec((1, 3, 9, 9))}, ("out",), {"w": weights}).with_specs(), tmp_path / "net.onnx")
    return tmp_path / "net.onnx"


@pytest.fixture
def submodel(tmp_path: Path) -> Path:
    rows = np.zeros((3, 36), np.float32)
    model = Submodel(np.zeros(dense_size(18), np.float32), np.array([1, 2, 5]), rows, np.zeros(18, np.float32))
    save_submodel(model, tmp_path / "s.safetensors")
    return tmp_path / "s.safetensors"


@pytest.mark.needs("onnx")
def test_an_onnx_net_is_timed_and_profiled(command: Command, net: Path) -> None:
    outcome = command("infer", net, "--runs", "3", "--profile")
    assert outcome.code == 0, outcome.err
    for word in ("p10 / p50 / p90", "first run", "instructions", "Conv -> out", "algorithm"):
        assert word in outcome.out


@pytest.mark.needs("onnx")
def test_json_has_every_figure(command: Command, net: Path, tmp_path: Path) -> None:
    assert command("infer", net, "--runs", "3", "--json", tmp_path / "f.json").code == 0
    figures = json.loads((tmp_path / "f.json").read_text())
    assert 0 < figures["p10"] <= figures["p50"] <= figures["p90"]
    assert figures["runs"] == 3
    assert {"creation", "first_run", "arena_bytes", "instructions", "threads"} <= figures.keys()
    assert [row["seconds"] for row in figures["operations"]] == [None] * len(figures["operations"])
    assert (
        json.loads(command("infer", net, "--runs", "1", "--profile", "--json", "-").out)["operations"][0]["seconds"] > 0
    )


@pytest.mark.needs("onnx")
def test_a_prepared_file_runs_again(command: Command, net: Path, tmp_path: Path) -> None:
    assert command("infer", net, "--runs", "1", "--save", tmp_path / "net.prepared").code == 0
    outcome = command("infer", tmp_path / "net.prepared", "--runs", "1")
    assert outcome.code == 0, outcome.err


def test_a_submodel_runs(command: Command, submodel: Path) -> None:
    outcome = command("infer", submodel, "--runs", "2", "--profile", "--precision", "int8")
    assert outcome.code == 0, outcome.err
    assert "attention" in outcome.out


def test_threads_are_taken_or_refused(command: Command, submodel: Path) -> None:
    figures = json.loads(command("infer", submodel, "--runs", "2", "--threads", "3", "--json", "-").out)
    assert figures["threads"] == 3
    outcome = command("infer", submodel, "--threads", "0")
    assert outcome.code == 2
    assert "threads" in outcome.err


@pytest.mark.needs("onnx")
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--backend", "gpu"), "backend: "),
        (("--precision", "fp16"), "precision"),
        (("--shape", "x"), "--shape: got 'x'"),
        (("--shape", "z=1"), "'z' is no input"),
        (("--shape", "x=1,4,9,9"), "do not fit"),
        (("--json", "/no/such/folder/f.json"), "--json: "),
    ],
)
def test_bad_usage_is_one_sentence(command: Command, net: Path, options: tuple[str, ...], sentence: str) -> None:
    outcome = command("infer", net, "--runs", "1", *options)
    assert outcome.code == 2
    assert sentence in outcome.err
    assert outcome.err.count("\n") == 1


@pytest.mark.needs("onnx")
def test_a_file_that_is_none(command: Command, tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"nonsense")
    for path in (tmp_path / "x.onnx", tmp_path / "absent.onnx", tmp_path):
        outcome = command("infer", path)
        assert outcome.code == 2
        assert outcome.err.startswith("securefl: ")
