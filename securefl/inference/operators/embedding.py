"""Rows of tables, and DIN's attention over them."""

from __future__ import annotations

import numpy as np

from ..errors import InputError, ModelError
from ..node import INT64, Array, Node, Spec
from .arithmetic import sigmoid
from .dense import softmax
from .interface import Arrays, Operator, Specs, axis_of, integer, number

WEIGHTS = 7
"""Of an Attention: Wq (E, h1), Wk (2E, h1), b1, W2 (h1, h2), b2, w3 (h2, 1), b3 (1,)."""


def _gather(node: Node, specs: Specs, _values: Arrays) -> tuple[Spec, ...]:
    table, index = specs
    axis = axis_of(node, len(table.shape), 0)
    if index.dtype.kind != "i":
        raise ModelError(f"{node}: indices of dtype {index.dtype}")
    return (Spec((*table.shape[:axis], *index.shape, *table.shape[axis + 1 :]), table.dtype),)


def _gathered(node: Node, x: Arrays) -> tuple[Array, ...]:
    table, index = x
    axis = axis_of(node, table.ndim, 0)
    if index.size and not -table.shape[axis] <= index.min() <= index.max() < table.shape[axis]:
        raise InputError(f"{node}: an index lies outside 0..{table.shape[axis] - 1}")
    return (np.take(table, index, axis=axis),)


def _lookup(node: Node, specs: Specs, _values: Arrays) -> tuple[Spec, ...]:
    if len(specs[0].shape) != 2 or specs[1].dtype != np.int64:
        raise ModelError(f"{node}: it needs a table of rows, and int64 positions")
    return (Spec((*specs[1].shape, specs[0].shape[1]), specs[0].dtype),)


def rows_at(table: Array, positions: Array) -> Array:
    """Rows of a table; a position that is none reads the last row, the default."""
    last = len(table) - 1
    rows: Array = table[np.where((positions < 0) | (positions > last), last, positions)]
    return rows


def _locate(node: Node, specs: Specs, _values: Arrays) -> tuple[Spec, ...]:
    if any(spec.dtype != np.int64 for spec in specs) or len(specs[1].shape) != 1:
        raise ModelError(f"{node}: it needs int64 keys, and a sorted vector of int64")
    return Spec(specs[0].shape, INT64), Spec(specs[0].shape)


def _located(_node: Node, x: Arrays) -> tuple[Array, ...]:
    keys, ordered = x
    if not len(ordered):
        return np.zeros(keys.shape, np.int64), np.zeros(keys.shape, np.float32)
    at = np.minimum(np.searchsorted(ordered, keys), len(ordered) - 1)
    found = ordered[at] == keys
    return np.where(found, at, len(ordered)), found.astype(np.float32)


def _attention(node: Node, specs: Specs, _values: Arrays) -> tuple[Spec, ...]:
    query, mask = specs[:2]
    wide = query.shape[1]
    (hidden1, hidden2), tables = specs[5].shape, specs[2 + WEIGHTS :]
    wanted = [(wide, hidden1), (2 * wide, hidden1), (hidden1,), (hidden1, hidden2), (hidden2,), (hidden2, 1), (1,)]
    if [spec.shape for spec in specs[2 : 2 + WEIGHTS]] != wanted or len(tables) % 2 or not tables:
        raise ModelError(f"{node}: its weights do not fit a query of {query.shape}")
    if sum(table.shape[1] for table in tables[::2]) != wide or mask.shape[:1] != query.shape[:1]:
        raise ModelError(f"{node}: tables, mask and query do not fit")
    if any(index.shape != mask.shape or index.dtype.kind != "i" for index in tables[1::2]):
        raise ModelError(f"{node}: indices have not the shape of the mask {mask.shape}")
    return Spec(query.shape), Spec(query.shape)


def _attended(node: Node, x: Arrays) -> tuple[Array, ...]:
    """Pooled history, and the sum of the history under the mask: (samples, E) each."""
    query, mask, wq, wk, b1, w2, b2, w3, b3 = x[: 2 + WEIGHTS]
    tables = x[2 + WEIGHTS :]
    parts = [rows_at(table, index) for table, index in zip(tables[::2], tables[1::2], strict=True)]
    keys = np.concatenate(parts, axis=-1)
    pairs = np.concatenate([keys, query[:, None] * keys], axis=-1)
    hidden = sigmoid(sigmoid((query @ wq + b1)[:, None] + pairs @ wk) @ w2 + b2)
    score = (hidden @ w3 + b3)[:, :, 0] * np.float32(number(node, "scale"))
    share = softmax(score * mask + (mask - 1) * np.float32(1e9), axis=1)
    if not integer(node, "mean_of_empty", 0):
        share = share * (mask != 0)
    return (share[:, None] @ keys)[:, 0], (mask[:, None] @ keys)[:, 0]


OPERATORS = {
    "Gather": Operator(_gather, _gathered, 2, 2),
    "Lookup": Operator(_lookup, lambda _node, x: (rows_at(*x),), 2, 2),
    "Locate": Operator(_locate, _located, 2, 2),
    "Attention": Operator(_attention, _attended, 4 + WEIGHTS, 8 + WEIGHTS),
}
