"""Where every value lies: lifetimes, values that are only another name, concatenations that are filled in place."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np

from .arena import Arena, Block
from .backends.interface import Choice, Layout
from .graph import Graph
from .layout import LaidOut
from .node import Array, Node

__all__ = ["Memory"]

VIEWS = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity")


class Memory:
    """All activations of a plan in one arena; implements `backends.interface.Buffers`."""

    def __init__(self, plan: LaidOut, choices: Mapping[str, Choice], lanes: int) -> None:
        self._graph, self._layouts, self._lanes = plan.graph, plan.layouts, lanes
        self._roots: dict[str, tuple[str, int]] = {}
        """Of a value that lies inside another one: which, and at what byte."""
        self._placed = set[str]()
        for node, backend in zip(plan.graph.nodes, plan.backends, strict=True):
            if backend.name == "native":
                self._share(node)
        blocks = self._blocks(plan.graph, choices)
        self._arena = Arena(blocks)
        values = {name for node in plan.graph.nodes for name in node.outputs} | set(plan.graph.inputs)
        self.sum_bytes = sum(self.bytes_of(name) for name in values)
        """What all values would take without sharing."""

    @property
    def peak_bytes(self) -> int:
        """The whole arena: activations and scratch."""
        return self._arena.bytes

    def layout(self, name: str) -> Layout:
        """How a value lies."""
        return self._layouts.get(name, "planar")

    def placed(self, name: str) -> bool:
        """Whether a value already stands inside the output of its only reader."""
        return name in self._placed

    def bytes_of(self, name: str) -> int:
        """Bytes of a value in its layout."""
        spec = self._graph.specs[name]
        if self.layout(name) == "planar":
            return spec.bytes
        n, channels, *size = spec.shape
        return 4 * n * -(-channels // self._lanes) * self._lanes * prod(size)

    def __getitem__(self, name: str) -> Array:
        if name in self._graph.constants:
            return self._graph.constants[name]
        spec, (root, offset) = self._graph.specs[name], self._root(name)
        flat = self._arena.bytes_of(root)[offset:][: self.bytes_of(name)].view(spec.dtype)
        return flat.reshape(spec.shape) if self.layout(name) == "planar" else flat

    def scratch(self, node: Node) -> Array:
        """Scratch of a node, as float32."""
        return self._arena.bytes_of(_scratch_of(node)).view(np.float32)

    def _root(self, name: str) -> tuple[str, int]:
        root, offset = name, 0
        while root in self._roots:
            root, more = self._roots[root]
            offset += more
        return root, offset

    def _share(self, node: Node) -> None:
        """A view is its input; the parts of a blocked concatenation of one image stand one after the other in it."""
        graph = self._graph
        first, out = node.inputs[0], node.outputs[0]
        if node.op in VIEWS and first not in graph.constants and self.layout(first) == "planar":
            self._roots[out] = (first, 0)
        if node.op != "Concat" or self.layout(out) != "blocked" or graph.specs[out].shape[0] != 1:
            return
        offset = 0
        for name in node.inputs:
            taken = name in self._roots or name in graph.inputs or name in graph.constants
            if not taken and node.inputs.count(name) == 1:
                self._roots[name] = (out, offset)
                self._placed.add(name)
            offset += self.bytes_of(name)

    def _blocks(self, graph: Graph, choices: Mapping[str, Choice]) -> list[Block]:
        """A value lives from the step that makes it, or any part of it, to the last that reads any part of it."""
        first, last = dict[str, int](), dict[str, int]()

        def touch(name: str, step: int) -> None:
            root = self._root(name)[0]
            first[root] = min(first.get(root, step), step)
            last[root] = max(last.get(root, step), step)

        for name in graph.inputs:
            touch(name, -1)
        for step, node in enumerate(graph.nodes):
            for name in (*node.inputs, *node.outputs):
                if name and name not in graph.constants:
                    touch(name, step)
        for name in graph.outputs:
            if name not in graph.constants:
                touch(name, len(graph.nodes))
        blocks = [Block(name, self.bytes_of(name), first[name], last[name]) for name in first]
        for step, node in enumerate(graph.nodes):
            choice = choices.get(node.outputs[0])
            if choice is not None and choice.scratch:
                blocks.append(Block(_scratch_of(node), choice.scratch, step, step))
        return blocks


def _scratch_of(node: Node) -> str:
    return f"{node.outputs[0]}/scratch"
