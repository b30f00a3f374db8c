"""Elementwise operators."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

import numpy as np

from ..errors import ModelError
from ..node import Array, Node, Spec
from .interface import Arrays, Operator, Specs, number, text

ACTIVATIONS = ("identity", "sigmoid", "tanh", "prelu", "dice")


def sigmoid(x: Array) -> Array:
    """Logistic function, by tanh: no overflow at either end."""
    return np.float32(0.5) * np.tanh(np.float32(0.5) * x) + np.float32(0.5)


def activate(node: Node, x: Array, alpha: Array | None) -> Array:
    """The clamp and the activation that a fused node carries: attributes `low`, `high`, `activation`."""
    low, high = number(node, "low", -inf), number(node, "high", inf)
    if low != -inf or high != inf:
        x = np.clip(x, np.float32(low), np.float32(high))
    kind = text(node, "activation", "identity")
    if kind == "sigmoid":
        return sigmoid(x)
    if kind == "tanh":
        return np.tanh(x)
    if kind == "prelu":
        return np.where(x < 0, x * alpha, x)
    if kind == "dice":
        return x * (alpha + (1 - alpha) * sigmoid(x))  # type: ignore[operator]  # a fused node has its alpha
    if kind != "identity":
        raise ModelError(f"{node}: no activation {kind!r}; use one of {', '.join(ACTIVATIONS)}")
    return x


def _same(_node: Node, specs: Specs, _values: Arrays) -> tuple[Spec, ...]:
    return (specs[0],)


def _broadcast(node: Node, specs: Specs, _values: Arrays) -> tuple[Spec, ...]:
    present = [spec for spec in specs if spec is not None]
    if len({spec.dtype for spec in present}) > 1:
        raise ModelError(f"{node}: its inputs have different dtypes")
    return (Spec(np.broadcast_shapes(*(spec.shape for spec in present)), present[0].dtype),)


def _clipped(node: Node, specs: Specs, _values: Arrays) -> tuple[Spec, ...]:
    if any(spec is not None and spec.size != 1 for spec in specs[1:]):
        raise ModelError(f"{node}: its limits must be single numbers")
    return (specs[0],)


def _compare(_node: Node, specs: Specs, _values: Arrays) -> tuple[Spec, ...]:
    return (Spec(np.broadcast_shapes(*(spec.shape for spec in specs)), np.dtype(np.bool_)),)


def _where(_node: Node, specs: Specs, _values: Arrays) -> tuple[Spec, ...]:
    return (Spec(np.broadcast_shapes(*(spec.shape for spec in specs)), specs[1].dtype),)


def _unary(function: Callable[[Any], Any]) -> Operator:
    def compute(_node: Node, x: Arrays) -> tuple[Array, ...]:
        return (function(x[0]),)

    return Operator(_same, compute)


def _binary(function: Callable[[Any, Any], Any]) -> Operator:
    def compute(node: Node, x: Arrays) -> tuple[Array, ...]:
        return (activate(node, function(x[0], x[1]), None),)

    return Operator(_broadcast, compute, 2, 2)


def _clip(_node: Node, x: Arrays) -> tuple[Array, ...]:
    low, high = (float(limit.reshape(-1)[0]) if limit is not None else end for limit, end in _ends(x))
    return (np.clip(x[0], np.float32(low), np.float32(high)),)


def _ends(x: Arrays) -> list[tuple[Any, float]]:
    """The limits of a Clip that are there, each with what stands for it where it is not."""
    given = [*x[1:], None, None]
    return [(given[0], -inf), (given[1], inf)]


def _prelu_spec(node: Node, specs: Specs, _values: Arrays) -> tuple[Spec, ...]:
    if np.broadcast_shapes(specs[0].shape, specs[1].shape) != specs[0].shape:
        raise ModelError(f"{node}: a slope of shape {specs[1].shape} does not fit {specs[0].shape}")
    return (specs[0],)


def _activated(node: Node, x: Arrays) -> tuple[Array, ...]:
    return (activate(node, x[0], x[1] if len(x) > 1 else None),)


def _chosen(_node: Node, x: Arrays) -> tuple[Array, ...]:
    chosen: Any = np.where(x[0], x[1], x[2])
    return (chosen,)


def _divide(a: Array, b: Array) -> Array:
    if a.dtype.kind == "i":
        return a // b
    with np.errstate(divide="ignore", invalid="ignore"):
        return a / b


def _square_root(x: Array) -> Array:
    with np.errstate(invalid="ignore"):
        return np.sqrt(x)


def _exponential(x: Array) -> Array:
    with np.errstate(over="ignore"):
        return np.exp(x)


OPERATORS = {
    "Add": _binary(np.add),
    "Sub": _binary(np.subtract),
    "Mul": _binary(np.multiply),
    "Div": _binary(_divide),
    "Relu": _unary(lambda x: np.maximum(x, np.float32(0))),
    "Sigmoid": _unary(sigmoid),
    "Tanh": _unary(np.tanh),
    "Exp": _unary(_exponential),
    "Sqrt": _unary(_square_root),
    "Neg": _unary(lambda x: -x),
    "Identity": Operator(_same, lambda _node, x: (x[0],)),
    "Clip": Operator(_clipped, _clip, 1, 3),
    "PRelu": Operator(_prelu_spec, lambda _node, x: (np.where(x[0] < 0, x[0] * x[1], x[0]),), 2, 2),
    "Activate": Operator(_same, _activated, 1, 2),
    "Less": Operator(_compare, lambda _node, x: (x[0] < x[1],), 2, 2),
    "Greater": Operator(_compare, lambda _node, x: (x[0] > x[1],), 2, 2),
    "Equal": Operator(_compare, lambda _node, x: (x[0] == x[1],), 2, 2),
    "Not": _unary(lambda x: ~x),
    "Where": Operator(_where, _chosen, 3, 3),
}
