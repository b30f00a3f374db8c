"""The operators: the shapes each gives, and what it computes, in NumPy. Names and meaning are ONNX's, if it has it."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import ModelError, UnsupportedOperatorError
from ..node import FLOAT32, Array, Node, Spec
from . import arithmetic, dense, embedding, images, shaping
from .interface import Operator

__all__ = ["OPERATORS", "compute", "infer"]

OPERATORS: dict[str, Operator] = {
    **arithmetic.OPERATORS,
    **shaping.OPERATORS,
    **dense.OPERATORS,
    **images.OPERATORS,
    **embedding.OPERATORS,
}

FLOAT_ONLY = frozenset(
    (
        *dense.OPERATORS,
        *images.OPERATORS,
        "Relu",
        "Sigmoid",
        "Tanh",
        "Exp",
        "Sqrt",
        "Clip",
        "PRelu",
        "Activate",
        "ReduceMean",
    )
)


def infer(node: Node, specs: Sequence[Spec | None], values: Sequence[Array | None]) -> tuple[Spec, ...]:
    """Specs of a node's outputs, from specs of its inputs and the values of those that are constant."""
    operator = find(node)
    if not operator.least <= len([name for name in node.inputs if name]) <= operator.most:
        raise ModelError(f"{node}: {len(node.inputs)} inputs; it takes {operator.least} to {operator.most}")
    if node.op in FLOAT_ONLY and any(spec is not None and spec.dtype != FLOAT32 for spec in specs):
        raise ModelError(f"{node}: it works on float32 alone")
    try:
        outputs = operator.infer(node, specs, values)
    except (ValueError, TypeError, IndexError, KeyError, AttributeError, OverflowError) as error:
        raise error if isinstance(error, ModelError) else ModelError(f"{node}: {_reason(error)}") from None
    if len(outputs) < len(node.outputs):
        raise UnsupportedOperatorError(f"{node}: output {len(outputs)} is not supported")
    return outputs[: len(node.outputs)]


def compute(node: Node, arrays: Sequence[Array | None]) -> tuple[Array, ...]:
    """A node's outputs."""
    return find(node).compute(node, arrays)


def find(node: Node) -> Operator:
    """The operator of a node. Raises UnsupportedOperatorError."""
    if node.op not in OPERATORS:
        raise UnsupportedOperatorError(
            f"operator {node.op!r} is not supported; known are {', '.join(sorted(OPERATORS))}"
        )
    return OPERATORS[node.op]


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"attribute {error} is missing"
    return str(error) or type(error).__name__
