"""Scales and shifts go into the weights beside them: batch normalization into convolutions, any into Linear."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..graph import Graph
from ..node import Array, Node
from ..operators.images import scale_and_shift
from .matching import Matcher, along_last, fresh


def fold_normalization(graph: Graph) -> Graph:
    """BatchNormalization after a convolution goes into its weights."""
    matcher, new = Matcher(graph), dict[str, Array]()
    replaced, gone = dict[str, Node](), set[str]()
    for node in graph.nodes:
        conv = matcher.only(node.inputs[0], "Conv") if node.op == "BatchNormalization" else None
        parameters = [matcher.constant(name) for name in node.inputs[1:]]
        weights = None if conv is None else matcher.constant(conv.inputs[1])
        if conv is None or weights is None or any(array is None for array in parameters) or len(conv.inputs) > 3:
            continue
        bias = matcher.constant(conv.inputs[2]) if len(conv.inputs) > 2 and conv.inputs[2] else np.zeros(1, np.float32)
        if bias is None:
            continue
        scale, shift = scale_and_shift(node, parameters)
        w, b = fresh(graph, f"{node.outputs[0]}.weights"), fresh(graph, f"{node.outputs[0]}.bias")
        new[w], new[b] = weights * scale[:, None, None, None], bias * scale + shift
        replaced[node.outputs[0]] = replace(conv, inputs=(conv.inputs[0], w, b), outputs=node.outputs[:1])
        gone.add(conv.outputs[0])
    if not replaced:
        return graph
    nodes = [replaced.get(n.outputs[0], n) for n in graph.nodes if n.outputs[0] not in gone]
    return graph.changed(nodes, new)


def fold_affine(graph: Graph) -> Graph:
    """x * scale + shift by column, before a Linear, goes into its weights and bias; again until nothing is left."""
    while True:
        changed = _fold_one(graph)
        if changed is None:
            return graph
        graph = changed


def _fold_one(graph: Graph) -> Graph | None:
    matcher = Matcher(graph)
    for node in graph.nodes:
        step = matcher.only(node.inputs[0], "Mul", "Add") if node.op == "Linear" else None
        parts = None if step is None else matcher.split(step)
        if step is None or parts is None or matcher.shape(parts[0]) != matcher.shape(step.outputs[0]):
            continue
        weights, bias = graph.constants[node.inputs[1]], graph.constants[node.inputs[2]]
        column = along_last(parts[1], len(weights))
        if column is None:
            continue
        w, b = fresh(graph, f"{node.inputs[1]}"), fresh(graph, f"{node.inputs[2]}")
        scaled, shifted = (column[:, None] * weights, bias) if step.op == "Mul" else (weights, bias + column @ weights)
        inputs = (parts[0], w, b, *node.inputs[3:])
        nodes = [replace(n, inputs=inputs) if n is node else n for n in graph.nodes]
        return graph.changed(nodes, {w: scaled, b: shifted})
    return None
