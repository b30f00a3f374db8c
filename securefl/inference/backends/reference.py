"""The reference: every operator as NumPy computes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..graph import Graph
from ..node import Node
from ..operators import compute
from .interface import Buffers, Choice, Layout, Operation

__all__ = ["NumpyBackend"]

SECONDS_A_CALL, SECONDS_A_BYTE, SECONDS_A_PRODUCT, SECONDS_A_COMPARISON = 5e-6, 4e-10, 5e-10, 3e-9
"""What NumPy takes on an ordinary core. It only has to lose against kernels that are made for the operator."""


class NumpyBackend:
    """Supports everything that is an operator at all."""

    name = "numpy"
    transfer = (0.0, 0.0)

    def supports(self, _graph: Graph, _node: Node) -> bool:
        """Always."""
        return True

    def cost(self, graph: Graph, node: Node) -> Choice:
        """By bytes written, products formed, and comparisons of a search."""
        moved = sum(graph.specs[name].bytes for name in (*node.inputs, *node.outputs) if name in graph.specs)
        seconds = SECONDS_A_CALL + SECONDS_A_BYTE * moved + SECONDS_A_PRODUCT * products(graph, node)
        if node.op == "Locate":
            seconds += (
                SECONDS_A_COMPARISON * graph.specs[node.inputs[0]].size * graph.specs[node.inputs[1]].size.bit_length()
            )
        return Choice("numpy", seconds)

    def layouts(
        self, _graph: Graph, node: Node, _have: Mapping[str, Layout]
    ) -> tuple[Sequence[Layout], Sequence[Layout]]:
        """Planar."""
        return ["planar"] * len(node.inputs), ["planar"] * len(node.outputs)

    def prepare(self, graph: Graph, nodes: Sequence[Node], buffers: Buffers) -> list[Operation]:
        """Nothing to prepare."""
        return [Operation(str(node), self.cost(graph, node), _runner(node, buffers)) for node in nodes]


def products(graph: Graph, node: Node) -> int:
    """Multiplications of a convolution or matrix product; 0 for other nodes."""
    out = graph.specs[node.outputs[0]].size
    if node.op in ("Linear", "MatMul", "Gemm"):
        return out * graph.specs[node.inputs[0]].shape[-1]
    if node.op == "Conv":
        filters = graph.specs[node.inputs[1]]
        return out * (filters.size // filters.shape[0])
    if node.op == "Attention":
        samples, history = graph.specs[node.inputs[1]].shape
        return samples * history * (graph.specs[node.inputs[3]].size + graph.specs[node.inputs[5]].size)
    return 0


def _runner(node: Node, buffers: Buffers) -> Callable[[], None]:
    inputs = [buffers[name] if name else None for name in node.inputs]
    outputs = [buffers[name] for name in node.outputs]

    def run() -> None:
        for out, result in zip(outputs, compute(node, inputs), strict=False):
            np.copyto(out, result)

    return run
