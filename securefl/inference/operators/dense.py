"""Matrix products and softmax."""

from __future__ import annotations

import numpy as np

from ..errors import ModelError
from ..node import Array, Node, Spec
from .arithmetic import activate
from .interface import Arrays, Operator, Specs, axis_of, integer, number


def _matmul(node: Node, specs: Specs, _values: Arrays) -> tuple[Spec, ...]:
    a, b = specs[0].shape, specs[1].shape
    if len(a) < 2 or len(b) < 2 or a[-1] != b[-2]:
        raise ModelError(f"{node}: {a} and {b} cannot be multiplied")
    return (Spec((*np.broadcast_shapes(a[:-2], b[:-2]), a[-2], b[-1])),)


def _gemm_shapes(node: Node, a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, int]:
    if len(a) != 2 or len(b) != 2:
        raise ModelError(f"{node}: {a} and {b} are not two matrices")
    rows, depth = a[::-1] if integer(node, "transA", 0) else a
    inner, columns = b[::-1] if integer(node, "transB", 0) else b
    if depth != inner:
        raise ModelError(f"{node}: {a} and {b} cannot be multiplied")
    return rows, columns


def _gemm(node: Node, specs: Specs, _values: Arrays) -> tuple[Spec, ...]:
    shape = _gemm_shapes(node, specs[0].shape, specs[1].shape)
    if len(specs) > 2 and specs[2] is not None and np.broadcast_shapes(specs[2].shape, shape) != shape:
        raise ModelError(f"{node}: a bias of shape {specs[2].shape} does not fit {shape}")
    return (Spec(shape),)


def _gemm_product(node: Node, x: Arrays) -> tuple[Array, ...]:
    a = x[0].T if integer(node, "transA", 0) else x[0]
    b = x[1].T if integer(node, "transB", 0) else x[1]
    product = np.float32(number(node, "alpha", 1)) * (a @ b)
    if len(x) > 2 and x[2] is not None:
        product = product + np.float32(number(node, "beta", 1)) * x[2]
    return (product,)


def _linear(node: Node, specs: Specs, _values: Arrays) -> tuple[Spec, ...]:
    """x (..., depth), weights (depth, columns), bias (columns), and the activation's alpha (columns)."""
    x, weights, bias = specs[0].shape, specs[1].shape, specs[2].shape
    if not x or len(weights) != 2 or x[-1] != weights[0] or bias != weights[1:]:
        raise ModelError(f"{node}: {x}, {weights} and {bias} do not fit")
    return (Spec((*x[:-1], weights[1])),)


def _linear_layer(node: Node, x: Arrays) -> tuple[Array, ...]:
    return (activate(node, x[0] @ x[1] + x[2], x[3] if len(x) > 3 else None),)


def _softmax(node: Node, specs: Specs, _values: Arrays) -> tuple[Spec, ...]:
    axis_of(node, len(specs[0].shape), -1)
    return (specs[0],)


def softmax(x: Array, axis: int) -> Array:
    """Softmax along an axis."""
    weights = np.exp(x - x.max(axis=axis, keepdims=True))
    total: Array = weights / weights.sum(axis=axis, keepdims=True)
    return total


OPERATORS = {
    "MatMul": Operator(_matmul, lambda _node, x: (x[0] @ x[1],), 2, 2),
    "Gemm": Operator(_gemm, _gemm_product, 2, 3),
    "Linear": Operator(_linear, _linear_layer, 3, 4),
    "Softmax": Operator(_softmax, lambda node, x: (softmax(x[0], axis_of(node, x[0].ndim, -1)),)),
}
