"""DIN's attention: its first layer factored, then all of it in one operator.

The activation unit (Zhou et al. 2018) multiplies [q, k, q - k, q * k] by W = [Wq; Wk; Wd; Wp]. That is
q (Wq + Wd) + [k, q * k] [Wk - Wd; Wp]: the part of q once a sample instead of once a history item, and half the depth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..graph import Graph
from ..node import Array, Node
from .matching import Matcher, fresh


@dataclass(frozen=True)
class _Unit:
    """[q, k, q - k, q * k] W + b: the nodes, and the query as (samples, E)."""

    concat: Node
    linear: Node
    query: str
    keys: str


def factor_attention(graph: Graph) -> Graph:
    """The first layer of every activation unit, in operators that ONNX has, and Linear."""
    matcher = Matcher(graph)
    for node in graph.nodes:
        unit = _unit(matcher, node)
        if unit is not None:
            return factor_attention(_factored(graph, unit))
    return graph


def _unit(matcher: Matcher, linear: Node) -> _Unit | None:
    concat = matcher.only(linear.inputs[0], "Concat") if linear.op == "Linear" else None
    if concat is None or len(concat.inputs) != 4 or len(linear.inputs) > 3:
        return None
    wide, k, difference, product = concat.inputs
    sub, mul = matcher.only(difference, "Sub"), matcher.only(product, "Mul")
    if sub is None or mul is None or sub.inputs != (wide, k) or set(mul.inputs) != {wide, k} or sub.attributes:
        return None
    query = _spread_query(matcher, wide)
    shape = matcher.shape(k)
    if query is None or len(shape) != 3 or matcher.shape(query) != (shape[0], shape[2]):
        return None
    return _Unit(concat, linear, query, k)


def _spread_query(matcher: Matcher, wide: str) -> str | None:
    """q (samples, E) of its expansion (samples, history, E): Unsqueeze and Expand, or Expand alone of history 1."""
    expand = matcher.maker(wide, "Expand")
    unsqueeze = matcher.maker(expand.inputs[0] if expand else wide, "Unsqueeze", "Reshape")
    return None if unsqueeze is None else unsqueeze.inputs[0]


def _factored(graph: Graph, unit: _Unit) -> Graph:
    wq, wk, wd, wp = np.split(graph.constants[unit.linear.inputs[1]], 4)
    bias, out = graph.constants[unit.linear.inputs[2]], unit.linear.outputs[0]
    one, w1, w2, zero = (fresh(graph, f"{out}.{name}") for name in ("axis", "query", "pairs", "zero"))
    new = {
        one: np.array([1], np.int64),
        w1: wq + wd,
        w2: np.concatenate([wk - wd, wp]),
        zero: np.zeros_like(bias),
    }
    q, product, pairs, part, wide, deep = (f"{out}.{name}" for name in ("q", "qk", "kqk", "of_q", "of_q3", "of_kqk"))
    nodes = [
        Node("Unsqueeze", (unit.query, one), (q,)),
        Node("Mul", (q, unit.keys), (product,)),
        Node("Concat", (unit.keys, product), (pairs,), {"axis": 2}),
        Node("Linear", (unit.query, w1, unit.linear.inputs[2]), (part,)),
        Node("Unsqueeze", (part, one), (wide,)),
        Node("Linear", (pairs, w2, zero), (deep,)),
        Node("Add", (deep, wide), (out,), unit.linear.attributes),
    ]
    flat = [new_node for node in graph.nodes for new_node in (nodes if node is unit.linear else [node])]
    return graph.changed(flat, new)


@dataclass(frozen=True)
class _Scores:
    """From the factored first layer to the softmax."""

    query: str
    keys: str
    mask: str
    weights: tuple[str, ...]
    scale: float


def fuse_attention(graph: Graph) -> Graph:
    """A factored activation unit, the softmax of its scores and the pooled history become one Attention."""
    matcher = Matcher(graph)
    for node in graph.nodes:
        fused = _pooling(matcher, node)
        if fused is not None:
            return fuse_attention(graph.changed(*fused))
    return graph


def _pooling(matcher: Matcher, softmax: Node) -> tuple[list[Node], dict[str, Array]] | None:
    scores = _scores(matcher, softmax) if softmax.op == "Softmax" else None
    history = None if scores is None else _history(matcher, scores.keys)
    if scores is None or history is None:
        return None
    shares, empty = softmax.outputs[0], 1
    gate = matcher.reader(shares, "Mul")
    if gate is not None and _is_mask(matcher, _other(gate, shares), scores.mask):
        shares, empty = gate.outputs[0], 0
    spread = matcher.reader(shares, "Unsqueeze", "Reshape")
    shares = shares if spread is None else spread.outputs[0]
    product = matcher.reader(shares, "MatMul")
    flat = None if product is None else matcher.reader(product.outputs[0], "Reshape", "Squeeze")
    if flat is None or product is None or product.inputs != (shares, scores.keys):
        return None
    if matcher.shape(flat.outputs[0]) != matcher.shape(scores.query):
        return None
    total, taken = _total(matcher, scores), fresh(matcher.graph, f"{flat.outputs[0]}.total")
    inputs = (scores.query, scores.mask, *scores.weights, *history)
    attributes = {"scale": scores.scale, "mean_of_empty": empty}
    outputs = (flat.outputs[0], total.outputs[0] if total is not None else taken)
    node = Node("Attention", inputs, outputs, attributes)
    return _placed(matcher.graph, node, flat, total), {}


def _placed(graph: Graph, node: Node, flat: Node, total: Node | None) -> list[Node]:
    """The nodes without those it replaces, the new one before the first reader of either output."""
    kept = [n for n in graph.nodes if n is not flat and n is not total]
    made = set(graph.inputs) | set(graph.constants)
    for place, other in enumerate(kept):
        if made.issuperset(node.inputs):
            return [*kept[:place], node, *kept[place:]]
        made.update(other.outputs)
    return [*kept, node]


def _other(node: Node, name: str) -> str:
    return node.inputs[1] if node.inputs[0] == name else node.inputs[0]


def _is_mask(matcher: Matcher, name: str, mask: str) -> bool:
    maker = matcher.maker(name, "Unsqueeze", "Reshape")
    return name == mask or (maker is not None and maker.inputs[0] == mask)


def _source(matcher: Matcher, name: str) -> str:
    """The mask (samples, history) behind its reshaped form."""
    maker = matcher.maker(name, "Unsqueeze", "Reshape")
    return name if maker is None else maker.inputs[0]


def _scores(matcher: Matcher, softmax: Node) -> _Scores | None:
    """Softmax(scale * z * mask + (mask - 1) * 1e9), z from the two hidden sigmoid layers."""
    axis, shape = softmax.attributes.get("axis", -1), matcher.shape(softmax.inputs[0])
    add = matcher.only(softmax.inputs[0], "Add")
    if add is None or axis not in (-1, len(shape) - 1):
        return None
    for masked, penalty in (add.inputs, add.inputs[::-1]):
        mask = _penalized(matcher, penalty)
        if mask is None:
            continue
        z, scale = _scaled(matcher, masked, mask)
        layers = None if z is None else _layers(matcher, z)
        if layers is not None and matcher.shape(mask) == matcher.shape(layers[1])[:2]:
            return _Scores(layers[0], layers[1], mask, layers[2], scale)
    return None


def _penalized(matcher: Matcher, name: str) -> str | None:
    """The mask m of (m - 1) * 1e9."""
    mul = matcher.only(name, "Mul")
    parts = None if mul is None else matcher.split(mul)
    sub = None if parts is None else matcher.only(parts[0], "Sub")
    if sub is None or parts is None or parts[1].size != 1 or float(parts[1].reshape(-1)[0]) != 1e9:
        return None
    return _source(matcher, sub.inputs[0]) if matcher.scalar(sub.inputs[1]) == 1 else None


def _scaled(matcher: Matcher, name: str, mask: str) -> tuple[str | None, float]:
    """z and scale of z * scale * mask, in either order."""
    scale, masked = 1.0, False
    while True:
        node = matcher.only(name, "Mul", "Reshape", "Squeeze", "Unsqueeze", "Transpose")
        if node is None:
            return (name if masked else None), scale
        if node.op == "Mul":
            parts = matcher.split(node)
            if parts is not None and parts[1].size == 1:
                name, scale = parts[0], scale * float(parts[1].reshape(-1)[0])
                continue
            gates = [other for other in node.inputs if _is_mask(matcher, other, mask)]
            if len(gates) != 1 or masked:
                return None, scale
            name, masked = _other(node, gates[0]), True
        elif node.op == "Transpose" and 1 not in matcher.shape(name)[1:]:
            return None, scale
        else:
            name = node.inputs[0]


def _layers(matcher: Matcher, z: str) -> tuple[str, str, tuple[str, ...]] | None:
    """Query, keys and the seven weights of sigmoid(sigmoid(first) W2 + b2) w3 + b3."""
    last = matcher.only(z, "Linear")
    second = None if last is None else _sigmoid_of(matcher, last.inputs[0], "Linear")
    first = None if second is None else _sigmoid_of(matcher, second.inputs[0], "Add")
    if last is None or second is None or first is None or matcher.shape(z)[-1] != 1:
        return None
    deep = matcher.only(first.inputs[0], "Linear")
    wide = matcher.only(first.inputs[1], "Unsqueeze")
    part = None if wide is None else matcher.only(wide.inputs[0], "Linear")
    pairs = None if deep is None else matcher.only(deep.inputs[0], "Concat")
    if part is None or pairs is None or deep is None or any(n.attributes for n in (last, second, deep, part)):
        return None
    weights = (part.inputs[1], deep.inputs[1], part.inputs[2], *second.inputs[1:3], *last.inputs[1:3])
    return part.inputs[0], pairs.inputs[0], weights


def _sigmoid_of(matcher: Matcher, name: str, op: str) -> Node | None:
    sigmoid = matcher.only(name, "Sigmoid")
    return None if sigmoid is None else matcher.only(sigmoid.inputs[0], op)


def _history(matcher: Matcher, keys: str) -> tuple[str, ...] | None:
    """The tables and indices whose rows, side by side, are the keys (samples, history, E)."""
    concat = matcher.maker(keys, "Concat")
    parts = (keys,) if concat is None else concat.inputs
    found = list[str]()
    for part in parts:
        node = matcher.maker(part, "Gather", "Lookup")
        if node is None or matcher.constant(node.inputs[0]) is None or node.attributes.get("axis", 0) != 0:
            return None
        found += node.inputs
    return tuple(found) if len(parts) <= 3 else None


def _total(matcher: Matcher, scores: _Scores) -> Node | None:
    """The sum of the history under the mask, where the model wants it: ReduceSum(keys * mask, axis 1)."""
    for mul in matcher.readers(scores.keys):
        if mul.op != "Mul" or not _is_mask(matcher, _other(mul, scores.keys), scores.mask):
            continue
        total = matcher.reader(mul.outputs[0], "ReduceSum")
        if total is not None and matcher.shape(total.outputs[0]) == matcher.shape(scores.query):
            return total
    return None
