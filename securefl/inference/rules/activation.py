"""Activations go into the node before them, as its attributes `low`, `high` and `activation`."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import numpy as np

from ..graph import Graph
from ..node import Array, Node
from ..operators.interface import number
from .matching import Matcher, along_last, fresh

CLAMPING = ("Conv", "Linear", "Add", "Sub", "Mul")
"""Nodes that can cut their result to [low, high]."""


def fuse_dice(graph: Graph) -> Graph:
    """x * (sigmoid(x) * (1 - alpha) + alpha) becomes one Activate (Dice with fixed statistics)."""
    matcher, new = Matcher(graph), dict[str, Array]()
    replaced = dict[str, Node]()
    for node in graph.nodes:
        for x, gate in (node.inputs, node.inputs[::-1]) if node.op == "Mul" else ():
            alpha = _dice_alpha(matcher, x, gate)
            if alpha is not None:
                name = fresh(graph, f"{node.outputs[0]}.alpha")
                new[name] = alpha
                replaced[node.outputs[0]] = Node("Activate", (x, name), node.outputs, {"activation": "dice"})
                break
    return graph.changed([replaced.get(n.outputs[0], n) for n in graph.nodes], new) if replaced else graph


def _dice_alpha(matcher: Matcher, x: str, gate: str) -> Array | None:
    add = matcher.only(gate, "Add")
    shift = None if add is None else matcher.split(add)
    mul = None if shift is None else matcher.only(shift[0], "Mul")
    slope = None if mul is None else matcher.split(mul)
    p = None if slope is None else matcher.only(slope[0], "Sigmoid")
    if p is None or shift is None or slope is None or p.inputs[0] != x:
        return None
    columns = matcher.shape(x)[-1]
    alpha, rest = along_last(shift[1], columns), along_last(slope[1], columns)
    if alpha is None or rest is None or np.abs(alpha + rest - 1).max() > 1e-6:
        return None
    return alpha


def fuse_activations(graph: Graph) -> Graph:
    """One after the other, until none is left that fits."""
    while True:
        changed = _fuse_one(graph)
        if changed is None:
            return graph
        graph = changed


def _fuse_one(graph: Graph) -> Graph | None:
    matcher = Matcher(graph)
    for node in graph.nodes:
        before = matcher.only(node.inputs[0], *CLAMPING)
        fused = None if before is None else _fused(matcher, before, node)
        if fused is not None:
            nodes = [fused[0] if n is node else n for n in graph.nodes if n is not before]
            return graph.changed(nodes, fused[1])
    return None


def _fused(matcher: Matcher, before: Node, node: Node) -> tuple[Node, dict[str, Array]] | None:
    done = before.attributes.get("activation", "identity") != "identity"
    limits = _limits(matcher, node)
    if limits is not None and not done:
        low, high = number(before, "low", -inf), number(before, "high", inf)
        ends = {"low": float(np.clip(limits[0], low, high)), "high": float(np.clip(limits[1], low, high))}
        within = {name: limit for name, limit in ends.items() if abs(limit) != inf}
        return replace(before.with_attributes(**within), outputs=node.outputs), {}
    if before.op != "Linear" or done or len(before.inputs) > 3:
        return None
    if node.op in ("Sigmoid", "Tanh"):
        return replace(before.with_attributes(activation=node.op.lower()), outputs=node.outputs), {}
    slope = matcher.constant(node.inputs[1]) if node.op in ("PRelu", "Activate") and len(node.inputs) > 1 else None
    alpha = None if slope is None else along_last(slope, matcher.shape(node.outputs[0])[-1])
    if alpha is None:
        return None
    kind = "prelu" if node.op == "PRelu" else node.attributes["activation"]
    name = fresh(matcher.graph, f"{node.outputs[0]}.alpha")
    linear = before.with_attributes(activation=kind)
    return replace(linear, inputs=(*before.inputs, name), outputs=node.outputs), {name: alpha}


def _limits(matcher: Matcher, node: Node) -> tuple[float, float] | None:
    """What a Relu or a Clip with constant limits cuts to."""
    if matcher.graph.specs[node.outputs[0]].dtype != np.float32:
        return None
    if node.op == "Relu":
        return 0.0, inf
    if node.op != "Clip":
        return None
    names = [*node.inputs[1:], "", ""]
    low, high = (matcher.scalar(name) if name else end for name, end in zip(names[:2], (-inf, inf), strict=True))
    return None if low is None or high is None or low > high else (low, high)
