"""Several backends for one model: who gets what, what crosses, and that the result does not depend on it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_inference_images import near, residual_net

from securefl.inference import Graph, InputError, Node, Session, Spec, UnsupportedOperatorError

ENGINES = [
    pytest.param("numpy"),
    pytest.param("onnxruntime", marks=pytest.mark.needs("onnx", "onnxruntime")),
    pytest.param("mnn", marks=pytest.mark.needs("onnx", "MNN")),
]


def backends_of(session: Session) -> list[str]:
    return [row.backend for row in session.plan()]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_forced_split_gives_the_same(engine: str) -> None:
    """The pooling in the middle goes elsewhere: there and back, with layouts changed on both sides."""
    b = residual_net(3, 3, (26, 22), 1)
    graph, given_ = b.graph(b.out), b.given()  # type: ignore[attr-defined]
    placement = {node.op: "native" for node in Session(graph).rewritten.nodes} | {"MaxPool": engine}
    session = Session(graph, backend=("native", engine), placement=placement)
    assert backends_of(session).count(engine) == 1
    assert session.transfers == 2
    assert session.conversions == 3
    assert near(session.run(given_)[b.out], Session(graph).run(given_)[b.out])  # type: ignore[attr-defined]


@pytest.mark.parametrize("engine", ENGINES)
def test_the_whole_model_on_one_engine(engine: str) -> None:
    b = residual_net(4, 3, (24, 24), 1)
    graph, given_ = b.graph(b.out), b.given()  # type: ignore[attr-defined]
    session = Session(graph, backend=engine)
    assert set(backends_of(session)) == {engine}
    assert near(session.run(given_)[b.out], Session(graph).run(given_)[b.out])  # type: ignore[attr-defined]


@settings(max_examples=15)
@given(seed=st.integers(0, 99), places=st.lists(st.sampled_from(["native", "numpy"]), min_size=40, max_size=40))
def test_any_split_gives_the_same(seed: int, places: list[str]) -> None:
    b = residual_net(seed, 3, (15, 17), 1)
    graph, given_ = b.graph(b.out), b.given()  # type: ignore[attr-defined]
    whole = Session(graph)
    placement = {node.outputs[0]: place for node, place in zip(whole.rewritten.nodes, places, strict=False)}
    session = Session(graph, backend=("native", "numpy"), placement=placement)
    assert near(session.run(given_)[b.out], whole.run(given_)[b.out])  # type: ignore[attr-defined]


def test_what_our_kernels_lack_goes_to_numpy() -> None:
    nodes = (Node("Relu", ("x",), ("a",)), Node("Exp", ("a",), ("b",)), Node("Neg", ("b",), ("c",)))
    graph = Graph(nodes, {"x": Spec((50,))}, ("c",), {}).with_specs()
    session = Session(graph)
    assert backends_of(session) == ["native", "numpy", "numpy"]
    x = np.linspace(-2, 2, 50, dtype=np.float32)
    assert session.run({"x": x})["c"] == pytest.approx(-np.exp(np.maximum(x, 0)), rel=1e-6)
    with pytest.raises(UnsupportedOperatorError, match="Exp -> b: not supported by native"):
        Session(graph, backend="native")


@pytest.mark.needs("onnx", "onnxruntime")
def test_a_small_operator_is_not_worth_the_way() -> None:
    b = residual_net(5, 3, (24, 24), 1)
    assert set(backends_of(Session(b.graph(b.out), backend=("native", "onnxruntime")))) == {"native"}  # type: ignore[attr-defined]


def test_a_placement_that_cannot_be_is_named() -> None:
    graph = residual_net(5, 3, (24, 24), 1)
    with pytest.raises(InputError, match="gpu"):
        Session(graph.graph(graph.out), placement={"Conv": "gpu"})  # type: ignore[attr-defined]
    with pytest.raises(UnsupportedOperatorError, match="not supported by mnn"):
        Session(graph.graph(graph.out), placement={"Conv": "mnn"})  # type: ignore[attr-defined]


def test_an_absent_engine_is_named() -> None:
    code = (
        "import sys; sys.modules['onnxruntime'] = None\n"
        "from securefl.inference import *\n"
        "g = Graph((Node('Relu', ('x',), ('y',)),), {'x': Spec((1,))}, ('y',), {}).with_specs()\n"
        "Session(g, backend='onnxruntime')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603
    assert "needs the package onnxruntime" in done.stderr
