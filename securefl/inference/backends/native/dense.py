"""Linear layers, softmax and elementwise functions."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from native.nn import Floats

from ...node import Array, Node
from ...operators.interface import axis_of, text
from ..interface import Buffers, Choice
from .lowering import Context, Lowering, Steps, limits, matrix

FLOAT = np.dtype(np.float32)
KINDS = {"Add": "add", "Sub": "sub", "Mul": "mul"}
CURVES = {
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "PRelu": "prelu",
    "Activate": "",
    "Relu": "identity",
    "Clip": "identity",
}


def constant_inputs(c: Context, node: Node, first: int) -> bool:
    """Whether all inputs from `first` on are constants or absent."""
    return all(not name or name in c.graph.constants for name in node.inputs[first:])


def quantized(weights: Floats) -> tuple[Array, Floats]:
    """int8 weights and the scale of each column: the largest weight of a column becomes 127."""
    scales = np.maximum(np.abs(weights).max(axis=0, initial=0), np.finfo(np.float32).tiny) / np.float32(127)
    return np.rint(weights / scales).astype(np.int8), scales.astype(np.float32)


def _linear_cost(c: Context, node: Node) -> Choice:
    depth, columns = c.shape(node.inputs[1])
    rows = prod(c.shape(node.outputs[0])[:-1])
    work = rows * depth * columns * c.rates.rows(rows) + depth * columns * 4 * c.rates.moved
    curved = text(node, "activation", "identity") not in ("identity", "prelu")
    seconds = c.rates.step + work + curved * rows * columns * c.rates.exponential
    scratch = 4 * depth * c.kernels.panel if c.options.int8 else 0
    name = "row times matrix" if rows == 1 else "matrix product"
    return Choice(f"int8 {name}" if c.options.int8 else name, seconds, scratch)


def _linear(c: Context, node: Node, buffers: Buffers) -> Steps:
    x, out = (matrix(buffers[name], c.shape(name)[-1]) for name in (node.inputs[0], node.outputs[0]))
    names, k = node.inputs, c.kernels
    bias = c.once(f"{names[2]}/bias", lambda: k.pad(c.constant(names[2])))
    alpha = c.constant(names[3]) if len(names) > 3 else None
    common: dict[str, Any] = {"activation": text(node, "activation", "identity"), "alpha": alpha, **limits(node)}
    if not c.options.int8:
        weights = c.once(f"{names[1]}/panels", lambda: k.pack(c.constant(names[1])))
        return [k.linear(out, x, weights, bias, **common)]
    weights = c.once(f"{names[1]}/int8", lambda: k.pack(quantized(c.constant(names[1]))[0]))
    scales = c.once(f"{names[1]}/scales", lambda: k.pad(quantized(c.constant(names[1]))[1]))
    return [k.linear(out, x, weights, bias, scales=scales, scratch=buffers.scratch(node), **common)]


def _recurs(c: Context, node: Node) -> bool:
    """Whether the second operand has the output's shape, or is one of its trailing parts."""
    out = c.shape(node.outputs[0])
    a, b = (c.shape(name) for name in node.inputs[:2])
    floats = all(c.graph.specs[name].dtype == FLOAT for name in node.inputs)
    trailing = b == out[len(out) - len(b) :] if len(b) <= len(out) else False
    return floats and 0 not in out and a == out and (trailing or prod(b) == 1)


def _moved(c: Context, node: Node, algorithm: str, per_item: float = 0.0) -> Choice:
    spec = c.graph.specs[node.outputs[0]]
    return Choice(algorithm, c.rates.step + spec.bytes * c.rates.moved + spec.size * per_item)


def _elementwise(c: Context, node: Node, buffers: Buffers) -> Steps:
    out, a, b = (buffers[name] for name in (node.outputs[0], *node.inputs[:2]))
    return [c.kernels.elementwise(KINDS[node.op], out, a, b, **limits(node))]


def _activates(c: Context, node: Node) -> bool:
    if c.graph.specs[node.outputs[0]].dtype != FLOAT or 0 in c.shape(node.outputs[0]):
        return False
    if node.op in ("PRelu", "Activate"):
        return constant_inputs(c, node, 1) and c.shape(node.inputs[-1]) == c.shape(node.outputs[0])[-1:]
    return node.op != "Clip" or (constant_inputs(c, node, 1))


def _activate(c: Context, node: Node, buffers: Buffers) -> Steps:
    columns = c.shape(node.outputs[0])[-1] if node.op in ("PRelu", "Activate") else buffers[node.outputs[0]].size
    out, x = (matrix(buffers[name], columns) for name in (node.outputs[0], node.inputs[0]))
    cut = {"Relu": {"low": 0.0}, "Clip": _clip_limits(c, node)}.get(node.op, {})
    alpha = c.constant(node.inputs[1]) if node.op in ("PRelu", "Activate") else None
    kind = CURVES[node.op] or text(node, "activation", "identity")
    return [c.kernels.activate(out, x, activation=kind, alpha=alpha, **cut)]


def _clip_limits(c: Context, node: Node) -> dict[str, float]:
    names = dict(zip(("low", "high"), node.inputs[1:], strict=False))
    return {end: float(c.constant(name).reshape(-1)[0]) for end, name in names.items() if name}


def _along_last(c: Context, node: Node) -> bool:
    shape = c.shape(node.inputs[0])
    return bool(shape) and 0 not in shape and axis_of(node, len(shape), -1) == len(shape) - 1


def _softmax(c: Context, node: Node, buffers: Buffers) -> Steps:
    columns = c.shape(node.inputs[0])[-1]
    return [c.kernels.softmax(matrix(buffers[node.outputs[0]], columns), matrix(buffers[node.inputs[0]], columns))]


_curve = Lowering(_activates, lambda c, node: _moved(c, node, "vector", c.rates.exponential), _activate)
_pointwise = Lowering(_recurs, lambda c, node: _moved(c, node, "vector"), _elementwise)
LOWERINGS = {
    "Linear": Lowering(lambda c, node: constant_inputs(c, node, 1), _linear_cost, _linear),
    **dict.fromkeys(KINDS, _pointwise),
    **dict.fromkeys(CURVES, _curve),
    "Softmax": Lowering(_along_last, lambda c, node: _moved(c, node, "vector", c.rates.exponential), _softmax),
}
