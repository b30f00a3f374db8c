"""From a node to kernel steps: what every family of operators has in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import TypeAlias

import numpy as np

from native.nn import Floats, Kernels, Pool, Step

from ...cost import Rates
from ...graph import Graph
from ...node import Array, Node
from ...operators.interface import number
from ..interface import Buffers, Choice

Steps: TypeAlias = Sequence[Step]


@dataclass(frozen=True)
class Context:
    """What lowering needs to know: the model, the kernels, what things cost, and what was prepared before."""

    graph: Graph
    kernels: Kernels
    rates: Rates
    options: Options
    prepared: dict[str, Array] = field(default_factory=dict)
    """Packed weights by name: filled at preparation, or from a file of an earlier one."""

    def once(self, name: str, make: Callable[[], Array]) -> Array:
        """Prepared weights of that name; made if they are not there yet."""
        if name not in self.prepared:
            self.prepared[name] = np.ascontiguousarray(make())
        return self.prepared[name]

    def constant(self, name: str) -> Array:
        """A constant of the model."""
        return self.graph.constants[name]

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a value."""
        return self.graph.specs[name].shape


@dataclass(frozen=True, slots=True)
class Options:
    """Settings of a session that reach the kernels."""

    skip_padding: bool = True
    int8: bool = False
    algorithms: tuple[str, ...] = ()
    """Algorithms that may be chosen; empty: all."""
    pool: Pool | None = None
    """More threads than the caller's, if there are any."""


@dataclass(frozen=True, slots=True)
class Lowering:
    """One way to run an operator."""

    supports: Callable[[Context, Node], bool]
    cost: Callable[[Context, Node], Choice]
    steps: Callable[[Context, Node, Buffers], Steps]


def limits(node: Node) -> dict[str, float]:
    """The clamp that a fused node carries."""
    return {"low": number(node, "low", -inf), "high": number(node, "high", inf)}


def matrix(array: Array, columns: int) -> Floats:
    """A contiguous array as (rows, columns)."""
    return array.reshape(-1, columns)
