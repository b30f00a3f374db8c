"""Which layout each kernel reads and writes: images in blocks, all else planar."""

from __future__ import annotations

from collections.abc import Mapping

from ...node import Node
from ..interface import Layout
from .dense import KINDS
from .images import LOWERINGS as IMAGES
from .images import best_way
from .lowering import Context

__all__ = ["layouts_of"]

LANEWISE = (*KINDS, "Relu", "Clip", "Sigmoid", "Tanh")
"""Where it does not matter which number stands where, as long as all operands agree."""


def layouts_of(c: Context, node: Node, have: Mapping[str, Layout]) -> tuple[list[Layout], list[Layout]]:
    """Of the inputs and outputs of a node, given the layouts that its inputs have."""
    inputs, outputs = len(node.inputs), len(node.outputs)
    if node.op in IMAGES:
        first: Layout = "planar" if node.op == "Conv" and _reads_planar(c, node) else "blocked"
        rest: list[Layout] = ["blocked"] * (inputs - 1)
        return [first, *rest], ["blocked"] * outputs
    blocked = any(have.get(name) == "blocked" for name in node.inputs)
    if blocked and (_lanewise(c, node) or _stacks_blocks(c, node)):
        return ["blocked"] * inputs, ["blocked"] * outputs
    return ["planar"] * inputs, ["planar"] * outputs


def _reads_planar(c: Context, node: Node) -> bool:
    return c.shape(node.inputs[1])[1] == c.shape(node.inputs[0])[1] and best_way(c, node).planar


def _lanewise(c: Context, node: Node) -> bool:
    shapes = {c.shape(name) for name in (*node.inputs, *node.outputs)}
    return node.op in LANEWISE and len(shapes) == 1 and not any(name in c.graph.constants for name in node.inputs)


def _stacks_blocks(c: Context, node: Node) -> bool:
    """Concatenation of channels that are whole blocks."""
    if node.op != "Concat" or node.attributes.get("axis") not in (1, -3) or len(c.shape(node.outputs[0])) != 4:
        return False
    whole = all(c.shape(name)[1] % c.kernels.width == 0 for name in node.inputs[:-1])
    return whole and not any(name in c.graph.constants for name in node.inputs)
