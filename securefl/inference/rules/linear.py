"""MatMul + Add and Gemm become Linear: x (..., depth) times constant weights (depth, columns), plus a bias."""

from __future__ import annotations

import numpy as np

from ..graph import Graph
from ..node import Array, Node
from ..operators.interface import number
from .matching import Matcher, along_last, fresh


def form_linear(graph: Graph) -> Graph:
    """Every product with a constant matrix on its right."""
    matcher, new = Matcher(graph), dict[str, Array]()
    replaced, gone = dict[str, Node](), set[str]()
    for node in graph.nodes:
        made = _from_gemm(matcher, node, new) or _from_matmul(matcher, node, new)
        if made is not None:
            linear, absorbed = made
            replaced[linear.outputs[0]] = linear
            gone |= absorbed
    if not replaced:
        return graph
    nodes = [replaced.get(n.outputs[0], n) for n in graph.nodes if n.outputs[0] not in gone]
    return graph.changed(nodes, new)


def _from_gemm(matcher: Matcher, node: Node, new: dict[str, Array]) -> tuple[Node, set[str]] | None:
    weights = matcher.constant(node.inputs[1]) if node.op == "Gemm" else None
    if weights is None or node.attributes.get("transA", 0):
        return None
    matrix = weights.T if node.attributes.get("transB", 0) else weights
    given = matcher.constant(node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] else np.zeros(1, np.float32)
    bias = None if given is None else along_last(given, matrix.shape[1])
    if bias is None:
        return None
    alpha, beta = (np.float32(number(node, name, 1)) for name in ("alpha", "beta"))
    return _linear(matcher, new, (node.inputs[0], node.outputs[0]), alpha * matrix, beta * bias), set()


def _from_matmul(matcher: Matcher, node: Node, new: dict[str, Array]) -> tuple[Node, set[str]] | None:
    weights = matcher.constant(node.inputs[1]) if node.op == "MatMul" else None
    if weights is None or weights.ndim != 2:
        return None
    columns, out = weights.shape[1], node.outputs[0]
    bias, add = np.zeros(columns, np.float32), matcher.reader(out, "Add")
    parts = None if add is None else matcher.split(add)
    found = None if parts is None else along_last(parts[1], columns)
    if add is not None and found is not None and matcher.shape(add.outputs[0]) == matcher.shape(out):
        return _linear(matcher, new, (node.inputs[0], add.outputs[0]), weights, found), {out}
    return _linear(matcher, new, (node.inputs[0], out), weights, bias), set()


def _linear(matcher: Matcher, new: dict[str, Array], ends: tuple[str, str], weights: Array, bias: Array) -> Node:
    w, b = (fresh(matcher.graph, f"{ends[1]}.{name}") for name in ("weights", "bias"))
    new[w], new[b] = np.ascontiguousarray(weights, np.float32), np.ascontiguousarray(bias, np.float32)
    return Node("Linear", (ends[0], w, b), (ends[1],))
