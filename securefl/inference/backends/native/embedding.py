"""Rows of tables, and DIN's attention."""

from __future__ import annotations

import numpy as np

from native.nn import Table

from ...node import Array, Node
from ...operators.embedding import WEIGHTS
from ...operators.interface import integer, number
from ..interface import Buffers, Choice
from .dense import constant_inputs, quantized
from .lowering import Context, Lowering, Steps

FLOAT = np.dtype(np.float32)


def _is_table(c: Context, name: str) -> bool:
    array = c.graph.constants.get(name)
    return array is not None and array.ndim == 2 and array.size > 0 and array.dtype == FLOAT


def _looks_up(c: Context, node: Node) -> bool:
    return _is_table(c, node.inputs[0]) and integer(node, "axis", 0) == 0


def _lookup_cost(c: Context, node: Node) -> Choice:
    kind = "int8 rows" if c.options.int8 else "rows"
    return Choice(kind, c.rates.step + c.graph.specs[node.outputs[0]].bytes * 2 * c.rates.moved)


def _table(c: Context, name: str) -> Table:
    """A table as it is, or as int8 with a scale for each row."""
    if not c.options.int8:
        return Table(c.constant(name))
    rows = c.once(f"{name}/int8", lambda: quantized(c.constant(name).T)[0].T)
    return Table(rows, c.once(f"{name}/scales", lambda: quantized(c.constant(name).T)[1]))


def _lookup(c: Context, node: Node, buffers: Buffers) -> Steps:
    return [c.kernels.lookup(buffers[node.outputs[0]], _table(c, node.inputs[0]), buffers[node.inputs[1]])]


def _locate(c: Context, node: Node, buffers: Buffers) -> Steps:
    found = buffers[node.outputs[1]] if len(node.outputs) > 1 else None
    return [c.kernels.locate(buffers[node.outputs[0]], c.constant(node.inputs[1]), buffers[node.inputs[0]], found)]


def _locate_cost(c: Context, node: Node) -> Choice:
    keys, rows = c.graph.specs[node.inputs[0]].size, c.graph.specs[node.inputs[1]].size
    return Choice("binary search", c.rates.step + keys * (1 + rows.bit_length()) * 1e-9)


def _attends(c: Context, node: Node) -> bool:
    tables = node.inputs[2 + WEIGHTS :: 2]
    weights = node.inputs[2 : 2 + WEIGHTS]
    return all(_is_table(c, name) for name in tables) and all(name in c.graph.constants for name in weights)


def _hidden(c: Context, node: Node) -> tuple[int, int]:
    first, second = c.shape(node.inputs[5])
    return first, second


def _attention_cost(c: Context, node: Node) -> Choice:
    samples, history = c.shape(node.inputs[1])
    width, (first, second) = c.shape(node.inputs[0])[1], _hidden(c, node)
    work = (2 * width * first + first * second) * c.rates.rows(history) + (first + second) * c.rates.exponential
    scratch = 4 * c.kernels.attention_scratch(history, width, (first, second))
    kind = "factored attention, padding skipped" if c.options.skip_padding else "factored attention"
    return Choice(kind, c.rates.step + samples * history * work, scratch, "one sample at a time stays in the cache")


def _attention(c: Context, node: Node, buffers: Buffers) -> Steps:
    query, mask = (buffers[name] for name in node.inputs[:2])
    weights = [_packed(c, name) for name in node.inputs[2 : 2 + WEIGHTS - 1]]
    names = node.inputs[2 + WEIGHTS :]
    tables = [(_table(c, t), buffers[index]) for t, index in zip(names[::2], names[1::2], strict=True)]
    step = c.kernels.attention(
        buffers[node.outputs[0]],
        buffers[node.outputs[1]] if len(node.outputs) > 1 else None,
        buffers.scratch(node),
        query,
        mask,
        weights,
        tables,
        hidden=_hidden(c, node),
        last_bias=float(c.constant(node.inputs[1 + WEIGHTS])[0]),
        scale=number(node, "scale"),
        skip=c.options.skip_padding,
        mean_of_empty=bool(integer(node, "mean_of_empty", 0)),
    )
    return [step]


def _packed(c: Context, name: str) -> Array:
    """Matrices as panels; biases, and the last column, padded."""
    array = c.constant(name)
    if array.ndim == 2 and array.shape[1] > 1:
        return c.once(f"{name}/panels", lambda: c.kernels.pack(array))
    return c.once(f"{name}/padded", lambda: c.kernels.pad(array.reshape(-1)))


_rows = Lowering(_looks_up, _lookup_cost, _lookup)
LOWERINGS = {
    "Gather": _rows,
    "Lookup": _rows,
    "Locate": Lowering(lambda c, node: constant_inputs(c, node, 1), _locate_cost, _locate),
    "Attention": Lowering(_attends, _attention_cost, _attention),
}
