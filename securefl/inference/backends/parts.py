"""A run of nodes as a graph of its own, for engines that take whole models."""

from __future__ import annotations

from collections.abc import Sequence

from ..graph import Graph
from ..node import Node

__all__ = ["part_of"]


def part_of(graph: Graph, nodes: Sequence[Node]) -> Graph:
    """The nodes as a model: what they read from elsewhere are its inputs, what is read elsewhere its outputs."""
    made = {name for node in nodes for name in node.outputs}
    inside = {id(node) for node in nodes}
    elsewhere = {name for node in graph.nodes if id(node) not in inside for name in node.inputs} | set(graph.outputs)
    read = {name for node in nodes for name in node.inputs if name}
    inputs = {name: graph.specs[name] for name in sorted(read - made - graph.constants.keys())}
    constants = {name: graph.constants[name] for name in sorted(read & graph.constants.keys())}
    outputs = tuple(sorted(made & elsewhere))
    specs = {name: graph.specs[name] for name in {*inputs, *constants, *made} if name in graph.specs}
    return Graph(tuple(nodes), inputs, outputs, constants, specs)
