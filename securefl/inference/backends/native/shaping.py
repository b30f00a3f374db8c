"""Shapes and layouts: mostly nothing is moved."""

from __future__ import annotations

from math import prod

from ...node import Node
from ...operators.interface import axis_of
from ..interface import Buffers, Choice
from .lowering import Context, Lowering, Steps

ALIASES = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity")
"""Other names for the same numbers, as long as they are planar."""


def _concat_cost(c: Context, node: Node) -> Choice:
    moved = c.graph.specs[node.outputs[0]].bytes * c.rates.moved
    return Choice("copies", c.rates.step * len(node.inputs) + moved)


def _concat(c: Context, node: Node, buffers: Buffers) -> Steps:
    """Inputs that already stand in their place are not copied."""
    out = buffers[node.outputs[0]]
    axis = axis_of(node, len(c.shape(node.outputs[0])))
    if buffers.layout(node.outputs[0]) == "blocked":
        rows, wide = c.shape(node.outputs[0])[0], out.size // c.shape(node.outputs[0])[0]
        sizes = [buffers[name].size // rows for name in node.inputs]
    else:
        rows, wide = prod(c.shape(node.outputs[0])[:axis]), prod(c.shape(node.outputs[0])[axis:])
        sizes = [prod(c.shape(name)[axis:]) for name in node.inputs]
    words = out.itemsize // 4
    starts = [sum(sizes[:place]) for place in range(len(sizes))]
    return [
        c.kernels.copy(
            out.view("i4").reshape(-1),
            buffers[name].view("i4").reshape(-1),
            rows,
            size * words,
            x_row=size * words,
            out_row=wide * words,
            out_start=start * words,
        )
        for name, size, start in zip(node.inputs, sizes, starts, strict=True)
        if not buffers.placed(name) and rows * size
    ]


def _convert(c: Context, node: Node, buffers: Buffers) -> Steps:
    images, channels, height, width = c.shape(node.inputs[0])
    to_blocked = buffers.layout(node.outputs[0]) == "blocked"
    x, out = buffers[node.inputs[0]], buffers[node.outputs[0]]
    return [c.kernels.convert((images, channels, height * width), out, x, to_blocked=to_blocked)]


def _moved(c: Context, node: Node) -> Choice:
    return Choice("layout", c.rates.step + 4 * c.graph.specs[node.inputs[0]].bytes * c.rates.moved)


_alias = Lowering(lambda _c, _node: True, lambda _c, _node: Choice("same memory", 0.0), lambda _c, _node, _b: [])
LOWERINGS = {
    **dict.fromkeys(ALIASES, _alias),
    "Concat": Lowering(lambda c, node: c.graph.specs[node.outputs[0]].dtype.itemsize >= 4, _concat_cost, _concat),
    "Convert": Lowering(lambda _c, _node: True, _moved, _convert),
}
