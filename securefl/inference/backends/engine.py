"""What the backends of other engines share: they take whole parts of the model, as ONNX."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from ..cost import Rates
from ..errors import InputError
from ..graph import Graph
from ..node import BOOL, Node
from .interface import Buffers, Choice, Layout, Operation
from .parts import part_of
from .reference import products

__all__ = ["EngineBackend", "package"]

UNWRITABLE = ("Attention", "Convert")
"""Operators of ours that ONNX has not."""
SECONDS_A_NODE = 3e-6


def package(name: str, extra: str) -> Any:
    """An engine's package. Raises InputError where the extra is not installed."""
    try:
        return import_module(name)
    except ImportError:
        raise InputError(
            f"backend: {extra!r} needs the package {name}; install the extra: pip install '.[{extra}]'"
        ) from None


class EngineBackend(ABC):
    """An engine to which every part goes as a model of its own."""

    name: str
    slowdown: float
    """How much slower than our matrix product its products are taken to be."""
    transfer = (3e-5, 2e-10)
    """A call from Python and its checks; a copy there and one back."""

    def __init__(self, rates: Rates, threads: int = 1) -> None:
        self._rates, self._threads = rates, threads

    def supports(self, graph: Graph, node: Node) -> bool:
        """Whatever can be written as ONNX, over values of dtypes that it takes."""
        names = [name for name in (*node.inputs, *node.outputs) if name and name not in graph.constants]
        return node.op not in UNWRITABLE and all(self.takes(graph.specs[name].dtype) for name in names)

    def takes(self, dtype: np.dtype[Any]) -> bool:
        """Whether values of a dtype can be handed over."""
        return dtype != BOOL

    def cost(self, graph: Graph, node: Node) -> Choice:
        """By products and bytes; how it really computes is its own affair."""
        work = products(graph, node) * self._rates.product[-1] * self.slowdown
        moved = sum(graph.specs[name].bytes for name in node.outputs) * self._rates.moved
        return Choice(self.name, SECONDS_A_NODE + work + moved)

    def layouts(
        self, _graph: Graph, node: Node, _have: Mapping[str, Layout]
    ) -> tuple[Sequence[Layout], Sequence[Layout]]:
        """Planar: what ONNX says."""
        return ["planar"] * len(node.inputs), ["planar"] * len(node.outputs)

    def prepare(self, graph: Graph, nodes: Sequence[Node], buffers: Buffers) -> list[Operation]:
        """One model, one call."""
        part = part_of(graph, nodes)
        seconds = sum(self.cost(graph, node).seconds for node in nodes) + 2 * self.transfer[0]
        title = f"{len(nodes)} nodes -> {part.outputs[-1]}"
        reason = ", ".join(dict.fromkeys(node.op for node in nodes))
        return [Operation(title, Choice(self.name, seconds, reason=reason), self.load(part, buffers))]

    @abstractmethod
    def load(self, part: Graph, buffers: Buffers) -> Callable[[], None]:
        """A call that runs a part from and to its buffers."""
