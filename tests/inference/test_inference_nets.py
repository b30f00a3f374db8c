"""The nets of the benchmark, whole, against onnxruntime: within 1e-4 of its largest output."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from securefl.inference import Session
from securefl.inference.onnx import load_onnx, to_onnx
from securefl.inference.rules import ALGEBRA, rewrite

pytestmark = pytest.mark.needs("onnx", "onnxruntime")

SOURCE = Path(__file__).parents[2] / "benchmarks" / "inference" / "nets.py"


@pytest.fixture(scope="module")
def nets() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmark_nets", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def by_onnxruntime(content: bytes, inputs: dict[str, np.ndarray]) -> np.ndarray:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    result: np.ndarray = onnxruntime.InferenceSession(content, options).run(None, inputs)[0]
    return result


def far(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).max() / np.abs(b).max())


def test_lenet(nets: ModuleType, instructions: str) -> None:
    content, inputs = nets.lenet().SerializeToString(), nets.image_inputs(32, 1)
    session = Session(load_onnx(content), instructions=instructions)
    assert far(session.run(inputs)["output"], by_onnxruntime(content, inputs)) < 1e-4
    assert {row.backend for row in session.plan()} == {"native"}


@pytest.mark.slow
@pytest.mark.parametrize("net", ["mobilenet", "mobilenet_v2", "squeezenet", "resnet18"])
def test_image_nets(nets: ModuleType, instructions: str, net: str) -> None:
    content, inputs = getattr(nets, net)().SerializeToString(), nets.image_inputs()
    session = Session(load_onnx(content), instructions=instructions)
    assert far(session.run(inputs)["output"], by_onnxruntime(content, inputs)) < 1e-4
    assert {row.backend for row in session.plan()} == {"native"}
    assert session.conversions == 1
    assert session.memory.arena < session.memory.activations / 2
    shared = Session(load_onnx(content), 2, instructions=instructions)
    assert shared.run(inputs)["output"].tobytes() == session.run(inputs)["output"].tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 7])
@pytest.mark.parametrize("skip_padding", [True, False])
def test_din_as_it_is_usually_exported(nets: ModuleType, instructions: str, batch: int, skip_padding: bool) -> None:
    content, inputs = nets.din(18, batch).SerializeToString(), nets.din_inputs(batch)
    inputs["mask"][0, 3] = 0  # a hole, and for the last sample nothing at all
    inputs["mask"][-1] = 0
    graph = load_onnx(content)
    wanted = by_onnxruntime(content, inputs)
    session = Session(graph, instructions=instructions, skip_padding=skip_padding)
    assert far(session.run(inputs)["output"], wanted) < 1e-4
    assert [node.op for node in session.rewritten.nodes].count("Attention") == 1
    shared = Session(graph, 2, instructions=instructions, skip_padding=skip_padding)
    assert shared.run(inputs)["output"].tobytes() == session.run(inputs)["output"].tobytes()
    factored = to_onnx(rewrite(graph, ALGEBRA)[0]).SerializeToString()
    assert far(by_onnxruntime(factored, inputs), wanted) < 1e-4
