"""Looking around in a graph: who makes a value, who alone reads it, what is constant."""

from __future__ import annotations

import numpy as np

from ..graph import Graph
from ..node import Array, Node


class Matcher:
    """Questions that rules ask of one graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._producers, self._uses = graph.producers(), graph.uses()
        self._readers: dict[str, list[Node]] = {}
        for node in graph.nodes:
            for name in set(node.inputs):
                self._readers.setdefault(name, []).append(node)

    def maker(self, name: str, *ops: str) -> Node | None:
        """The node that makes a value, if it is one of these operators."""
        node = self._producers.get(name)
        return node if node is not None and node.op in ops else None

    def only(self, name: str, *ops: str) -> Node | None:
        """The same, if in addition the value is read once: the node may then disappear."""
        return self.maker(name, *ops) if self._uses[name] == 1 else None

    def reader(self, name: str, *ops: str) -> Node | None:
        """The one node that reads a value, if it is one of these operators and nobody else reads it."""
        readers = self._readers.get(name, [])
        if self._uses[name] != 1 or len(readers) != 1 or readers[0].op not in ops:
            return None
        return readers[0]

    def readers(self, name: str) -> list[Node]:
        """All nodes that read a value."""
        return self._readers.get(name, [])

    def constant(self, name: str) -> Array | None:
        """The value of a constant."""
        return self.graph.constants.get(name)

    def scalar(self, name: str) -> float | None:
        """The value of a constant of one element."""
        array = self.constant(name)
        return float(array.reshape(-1)[0]) if array is not None and array.size == 1 else None

    def split(self, node: Node) -> tuple[str, Array] | None:
        """Of a binary node with one constant: the other input, and the constant."""
        a, b = node.inputs
        for variable, fixed in ((a, b), (b, a)):
            array = self.constant(fixed)
            if array is not None and self.constant(variable) is None:
                return variable, array
        return None

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a value."""
        return self.graph.specs[name].shape


def along_last(array: Array, columns: int) -> Array | None:
    """A constant that differs at most along the last axis, as (columns,); None if it differs elsewhere."""
    if array.size == 1:
        return np.full(columns, array.reshape(-1)[0], array.dtype)
    return array.reshape(-1) if array.shape[-1:] == (columns,) and array.size == columns else None


def fresh(graph: Graph, name: str) -> str:
    """A name for a new constant."""
    while name in graph.specs or name in graph.constants:
        name += "'"
    return name
