"""Rewrite rules, each by itself: what they take away, what they leave, and that the result stays."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from test_inference_images import Builder, near

from securefl.inference import Graph, Node, Session, Spec
from securefl.inference.node import INT64
from securefl.inference.rules import rewrite
from securefl.inference.rules.fold import FOLD_AT_MOST, drop_identities, fold_constants

RANDOM = np.random.default_rng(0)


def floats(*shape: int) -> np.ndarray:
    return RANDOM.standard_normal(shape, np.float32)


def ops(graph: Graph) -> list[str]:
    return [node.op for node in graph.nodes]


def same(graph: Graph) -> None:
    """With and without rules, on our kernels and in NumPy."""
    plain = Session(graph, backend="numpy", rewrite=False)
    given = plain.example()
    for name, wanted in plain.run(given).items():
        assert near(Session(graph).run(given)[name], wanted)


def test_what_depends_on_no_input_is_computed_now() -> None:
    nodes = (Node("Add", ("a", "b"), ("c",)), Node("Exp", ("c",), ("d",)), Node("Mul", ("x", "d"), ("y",)))
    graph = Graph(nodes, {"x": Spec((2, 3))}, ("y",), {"a": floats(3), "b": floats(2, 3)}).with_specs()
    folded = fold_constants(graph)
    assert ops(folded) == ["Mul"]
    assert folded.constants["d"] == pytest.approx(np.exp(graph.constants["a"] + graph.constants["b"]))
    same(graph)


def test_shapes_are_known() -> None:
    nodes = (Node("Shape", ("x",), ("s",)), Node("Expand", ("w", "s"), ("e",)), Node("Add", ("x", "e"), ("y",)))
    specs = {"x": Spec((2, 3)), "w": Spec((3,)), "s": Spec((2,), INT64), "e": Spec((2, 3)), "y": Spec((2, 3))}
    graph = Graph(nodes, {"x": Spec((2, 3))}, ("y",), {"w": floats(3)}, specs)
    assert ops(fold_constants(graph)) == ["Add"]


def test_a_constant_that_would_be_large_stays_computed() -> None:
    size = FOLD_AT_MOST // 4 + 1
    nodes = (Node("Expand", ("w", "s"), ("e",)), Node("Add", ("x", "e"), ("y",)))
    constants = {"w": floats(1), "s": np.array([size])}
    graph = Graph(nodes, {"x": Spec((size,))}, ("y",), constants).with_specs()
    assert ops(fold_constants(graph)) == ["Expand", "Add"]


def test_identities_go_but_for_outputs() -> None:
    nodes = (
        Node("Identity", ("x",), ("a",)),
        Node("Reshape", ("a", "s"), ("b",)),
        Node("Relu", ("b",), ("c",)),
        Node("Identity", ("c",), ("y",)),
    )
    graph = Graph(nodes, {"x": Spec((2, 3))}, ("y",), {"s": np.array([2, 3])}).with_specs()
    assert ops(drop_identities(graph)) == ["Relu", "Identity"]
    same(graph)


def test_a_perceptron_is_its_layers() -> None:
    """Products, biases, scales and activations become one Linear each."""
    nodes = [
        Node("MatMul", ("x", "w1"), ("a",)),
        Node("Add", ("a", "b1"), ("b",)),
        Node("Sigmoid", ("b",), ("c",)),
        Node("Mul", ("c", "scale"), ("d",)),
        Node("Gemm", ("d", "w2", "b2"), ("e",), {"transB": 1}),
        Node("Relu", ("e",), ("f",)),
        Node("MatMul", ("f", "w3"), ("g",)),
        Node("Softmax", ("g",), ("y",), {"axis": 1}),
    ]
    constants = {"w1": floats(20, 33), "b1": floats(33), "w2": floats(17, 33), "b2": floats(17)}
    constants |= {"scale": floats(33), "w3": floats(17, 5)}
    graph = Graph(tuple(nodes), {"x": Spec((4, 20))}, ("y",), constants).with_specs()
    assert ops(rewrite(graph)[0]) == ["Linear", "Linear", "Linear", "Softmax"]
    same(graph)


@pytest.mark.parametrize("rows", [1, 6])
def test_a_perceptron_of_int8_is_close_and_a_quarter(rows: int, instructions: str) -> None:
    sizes, constants, nodes = (64, 96, 80, 3), dict[str, np.ndarray](), list[Node]()
    for layer, (depth, columns) in enumerate(pairwise(sizes)):
        constants[f"w{layer}"], constants[f"b{layer}"] = floats(depth, columns) / depth**0.5, floats(columns)
        nodes.append(Node("Gemm", ("x" if not layer else f"h{layer}", f"w{layer}", f"b{layer}"), (f"a{layer}",)))
        nodes.append(Node("Sigmoid", (f"a{layer}",), (f"h{layer + 1}",)))
    graph = Graph(tuple(nodes), {"x": Spec((rows, 64))}, ("h3",), constants).with_specs()
    whole, small = (Session(graph, instructions=instructions, precision=kind) for kind in ("fp32", "int8"))
    assert [row.algorithm.startswith("int8") for row in small.plan()] == [True] * 3
    difference = np.abs(whole.run(whole.example())["h3"] - small.run(whole.example())["h3"]).max()
    assert 0 < difference < 0.02
    assert small.memory.weights < 0.35 * whole.memory.weights


def test_residuals_and_activations_go_into_the_convolution_before_them() -> None:
    b = Builder(0, 16, (9, 9))
    x = b.add("Relu", b.conv("x", 16, 16, 3))
    y = b.add("Relu", b.add("Add", b.conv(x, 16, 16, 3), x))
    graph = b.graph(b.conv(y, 16, 8, 1))
    assert ops(rewrite(graph)[0]) == ["Conv", "Conv", "Conv"]
    same(graph)


def test_a_value_that_somebody_else_reads_is_not_fused_away() -> None:
    b = Builder(0, 16, (9, 9))
    x = b.conv("x", 16, 16, 3)
    y = b.add("Add", b.add("Relu", x), x)
    assert ops(rewrite(b.graph(y))[0]) == ["Conv", "Relu", "Add"]
    same(b.graph(y))


def test_what_the_rules_saved_is_counted() -> None:
    b = Builder(0, 16, (9, 9))
    _, saved = rewrite(b.graph(b.add("Relu", b.conv("x", 16, 16, 3))))
    assert saved["fuse_activations"] == 1
