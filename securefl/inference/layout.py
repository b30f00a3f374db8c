"""Layouts of values, and the conversions between them as nodes of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .backends.interface import Backend, Layout
from .graph import Graph
from .node import Node

__all__ = ["LaidOut", "lay_out"]


@dataclass(frozen=True)
class LaidOut:
    """A graph with its conversions, the backend of every node, and the layout of every value that is no constant."""

    graph: Graph
    backends: tuple[Backend, ...]
    layouts: dict[str, Layout]

    @property
    def conversions(self) -> int:
        """Nodes that do nothing but change a layout."""
        return sum(node.op == "Convert" for node in self.graph.nodes)


def lay_out(graph: Graph, chosen: Sequence[Backend], native: Backend | None) -> LaidOut:
    """Every node reads what it wants: a value is converted at most once to each layout, by the `native` backend."""
    layouts: dict[str, Layout] = dict.fromkeys(graph.inputs, "planar")
    forms: dict[tuple[str, Layout], str] = {(name, "planar"): name for name in graph.inputs}
    nodes, backends = list[Node](), list[Backend]()

    def form(name: str, layout: Layout) -> str:
        if not name or name in graph.constants:
            return name
        if (name, layout) not in forms:
            converted = f"{name}@{layout}"
            nodes.append(Node("Convert", (name,), (converted,)))
            backends.append(native or chosen[0])
            forms[name, layout], layouts[converted] = converted, layout
        return forms[name, layout]

    for node, backend in zip(graph.nodes, chosen, strict=True):
        wanted, given = backend.layouts(graph, node, layouts)
        inputs = tuple(form(name, layout) for name, layout in zip(node.inputs, wanted, strict=True))
        nodes.append(replace(node, inputs=inputs))
        backends.append(backend)
        for name, layout in zip(node.outputs, given, strict=True):
            layouts[name] = layout
            forms[name, layout] = name
    outputs = tuple(form(name, "planar") for name in graph.outputs)
    specs = dict(graph.specs)
    for node in nodes:
        if node.op == "Convert":
            specs[node.outputs[0]] = specs[node.inputs[0]]
    converted = Graph(tuple(nodes), graph.inputs, outputs, graph.constants, specs)
    return LaidOut(converted, tuple(backends), layouts)
