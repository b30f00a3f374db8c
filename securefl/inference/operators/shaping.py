"""Operators that move numbers around."""

from __future__ import annotations

from math import prod

import numpy as np

from ..errors import ModelError, UnsupportedOperatorError
from ..node import DTYPES, INT64, Array, Node, Spec
from .interface import Arrays, Operator, Specs, axis_of, integer, integers, text

CAST_KINDS = {str(dtype): dtype for dtype in DTYPES}


def _constant(node: Node, values: Arrays, place: int, what: str) -> tuple[int, ...]:
    """An input that must be constant, because shapes hang on it."""
    if len(values) <= place or values[place] is None:
        raise UnsupportedOperatorError(f"{node}: {what} must be constant")
    return tuple(int(item) for item in np.asarray(values[place]).reshape(-1))


def _axes(node: Node, values: Arrays, rank: int) -> tuple[int, ...]:
    """Axes from the attribute (older operator sets) or the second input."""
    if "axes" in node.attributes:
        axes = integers(node, "axes")
    elif len(values) > 1 and node.inputs[1]:
        axes = _constant(node, values, 1, "its axes")
    else:
        axes = ()
    if any(not -rank <= axis < rank for axis in axes) or len({axis % rank for axis in axes}) < len(axes):
        raise ModelError(f"{node}: axes {axes} are none of {rank}")
    return tuple(sorted(axis % rank for axis in axes))


def _target(node: Node, spec: Spec, wanted: tuple[int, ...]) -> tuple[int, ...]:
    """ONNX's Reshape: 0 copies an axis, one -1 takes what is left."""
    if integer(node, "allowzero", 0):
        raise UnsupportedOperatorError(f"{node}: allowzero is not supported")
    shape = tuple(spec.shape[i] if size == 0 else size for i, size in enumerate(wanted))
    if shape.count(-1) > 1 or any(size < -1 for size in shape):
        raise ModelError(f"{node}: {wanted} is no shape")
    known = prod(size for size in shape if size != -1)
    if -1 in shape and known:
        shape = tuple(spec.size // known if size == -1 else size for size in shape)
    if prod(shape) != spec.size:
        raise ModelError(f"{node}: {spec.shape} cannot become {wanted}")
    return shape


def _reshape(node: Node, specs: Specs, values: Arrays) -> tuple[Spec, ...]:
    return (Spec(_target(node, specs[0], _constant(node, values, 1, "its shape")), specs[0].dtype),)


def _flatten(node: Node, specs: Specs, _values: Arrays) -> tuple[Spec, ...]:
    shape = specs[0].shape
    axis = integer(node, "axis", 1)
    if not -len(shape) <= axis <= len(shape):
        raise ModelError(f"{node}: axis {axis} is none of {len(shape)}")
    axis = axis + len(shape) if axis < 0 else axis
    return (Spec((prod(shape[:axis]), prod(shape[axis:])), specs[0].dtype),)


def _unsqueeze(node: Node, specs: Specs, values: Arrays) -> tuple[Spec, ...]:
    shape = list(specs[0].shape)
    given = integers(node, "axes") if "axes" in node.attributes else _constant(node, values, 1, "its axes")
    for axis in _axes(node, values, len(shape) + len(given)):
        shape.insert(axis, 1)
    return (Spec(tuple(shape), specs[0].dtype),)


def _squeeze(node: Node, specs: Specs, values: Arrays) -> tuple[Spec, ...]:
    shape = specs[0].shape
    axes = _axes(node, values, len(shape)) or tuple(i for i, size in enumerate(shape) if size == 1)
    if any(shape[axis] != 1 for axis in axes):
        raise ModelError(f"{node}: only axes of size 1 can go; shape {shape}, axes {axes}")
    return (Spec(tuple(size for i, size in enumerate(shape) if i not in axes), specs[0].dtype),)


def _reshaped(infer_: str) -> Operator:
    infer = {"Reshape": _reshape, "Flatten": _flatten, "Unsqueeze": _unsqueeze, "Squeeze": _squeeze}[infer_]

    def compute(node: Node, x: Arrays) -> tuple[Array, ...]:
        return (x[0].reshape(infer(node, [Spec.of(x[0])], x)[0].shape),)

    return Operator(infer, compute, 1, 2)


def _transpose(node: Node, specs: Specs, _values: Arrays) -> tuple[Spec, ...]:
    shape = specs[0].shape
    order = integers(node, "perm", tuple(reversed(range(len(shape)))))
    if sorted(order) != list(range(len(shape))):
        raise ModelError(f"{node}: {order} is no order of {len(shape)} axes")
    return (Spec(tuple(shape[axis] for axis in order), specs[0].dtype),)


def _transposed(node: Node, x: Arrays) -> tuple[Array, ...]:
    return (x[0].transpose(integers(node, "perm", tuple(reversed(range(x[0].ndim))))),)


def _concat(node: Node, specs: Specs, _values: Arrays) -> tuple[Spec, ...]:
    shape, axis = list(specs[0].shape), axis_of(node, len(specs[0].shape))
    for spec in specs[1:]:
        others = (list(spec.shape[:axis]) + list(spec.shape[axis + 1 :]), spec.dtype)
        if others != (shape[:axis] + shape[axis + 1 :], specs[0].dtype):
            raise ModelError(f"{node}: {specs[0]} and {spec} differ elsewhere than along axis {axis}")
    shape[axis] = sum(spec.shape[axis] for spec in specs)
    return (Spec(tuple(shape), specs[0].dtype),)


def _concatenated(node: Node, x: Arrays) -> tuple[Array, ...]:
    return (np.concatenate(list(x), axis=axis_of(node, x[0].ndim)),)


def _expand(node: Node, specs: Specs, values: Arrays) -> tuple[Spec, ...]:
    wanted = _constant(node, values, 1, "its shape")
    return (Spec(np.broadcast_shapes(specs[0].shape, Spec(wanted).shape), specs[0].dtype),)


def _expanded(_node: Node, x: Arrays) -> tuple[Array, ...]:
    shape = np.broadcast_shapes(x[0].shape, tuple(int(size) for size in x[1]))
    return (np.broadcast_to(x[0], shape).copy(),)


def _reduce(node: Node, specs: Specs, values: Arrays) -> tuple[Spec, ...]:
    shape = specs[0].shape
    axes = _axes(node, values, len(shape)) or tuple(range(len(shape)))
    keep = integer(node, "keepdims", 1)
    kept = [1 if i in axes else size for i, size in enumerate(shape) if keep or i not in axes]
    return (Spec(tuple(kept), specs[0].dtype),)


def _reduced(node: Node, x: Arrays) -> tuple[Array, ...]:
    axes = _axes(node, x, x[0].ndim) or tuple(range(x[0].ndim))
    total = x[0].sum(axis=axes, keepdims=bool(integer(node, "keepdims", 1)), dtype=x[0].dtype)
    if node.op == "ReduceMean":
        total = total / np.float32(prod(x[0].shape[axis] for axis in axes))
    return (np.asarray(total),)


def _cast(node: Node, specs: Specs, _values: Arrays) -> tuple[Spec, ...]:
    kind = text(node, "to", "")
    if kind not in CAST_KINDS:
        raise UnsupportedOperatorError(f"{node}: a cast to {kind!r} is not supported")
    return (Spec(specs[0].shape, CAST_KINDS[kind]),)


OPERATORS = {
    "Reshape": _reshaped("Reshape"),
    "Flatten": _reshaped("Flatten"),
    "Unsqueeze": _reshaped("Unsqueeze"),
    "Squeeze": _reshaped("Squeeze"),
    "Transpose": Operator(_transpose, _transposed),
    "Concat": Operator(_concat, _concatenated, 1, 1 << 10),
    "Expand": Operator(_expand, _expanded, 2, 2),
    "ReduceSum": Operator(_reduce, _reduced, 1, 2),
    "ReduceMean": Operator(_reduce, _reduced, 1, 2),
    "Cast": Operator(_cast, lambda node, x: (x[0].astype(CAST_KINDS[text(node, "to", "")]),)),
    "Shape": Operator(
        lambda _node, specs, _values: (Spec((len(specs[0].shape),), INT64),),
        lambda _node, x: (np.array(x[0].shape, np.int64),),
    ),
}
