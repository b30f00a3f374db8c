"""What a backend is: it says what it supports and what that costs, prepares once, and runs many times."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from native.nn import Step

from ..graph import Graph
from ..node import Array, Node

__all__ = ["Backend", "Buffers", "Choice", "Layout", "Operation"]

Layout: TypeAlias = Literal["planar", "blocked"]
"""Planar is ONNX's order. Blocked images lie in blocks of as many channels as the kernels' vectors have lanes."""


@dataclass(frozen=True, slots=True)
class Choice:
    """How a backend would run a node, and what it expects of it."""

    algorithm: str
    seconds: float
    scratch: int = 0
    """Bytes of memory that it needs while it runs."""
    reason: str = ""
    divisible: bool = True
    """Whether threads can share it."""


@dataclass(frozen=True, slots=True)
class Operation:
    """Prepared work: one node, or a run of nodes that goes to another engine as a whole."""

    name: str
    choice: Choice
    run: Callable[[], None]
    steps: tuple[Step, ...] | None = None
    """The kernel calls that it is, when it is nothing else: consecutive ones are joined."""


class Buffers(Protocol):
    """Where values lie: fixed when a plan is made, so that running allocates nothing."""

    def __getitem__(self, name: str) -> Array:
        """A value: shaped when planar, flat when blocked; constants too."""

    def scratch(self, node: Node) -> Array:
        """Scratch of a node, as float32."""

    def layout(self, name: str) -> Layout:
        """How a value lies."""

    def placed(self, name: str) -> bool:
        """Whether a value already stands inside the output of its only reader."""


class Backend(Protocol):
    """One engine, for one plan."""

    @property
    def name(self) -> str:
        """As in `Session(backend=...)`."""

    @property
    def transfer(self) -> tuple[float, float]:
        """Seconds a call, and seconds a byte, of handing values to it or back."""

    def supports(self, graph: Graph, node: Node, /) -> bool:
        """Whether it can run a node."""

    def cost(self, graph: Graph, node: Node, /) -> Choice:
        """How it would run a node that it supports, and in what time."""

    def layouts(
        self, graph: Graph, node: Node, have: Mapping[str, Layout]
    ) -> tuple[Sequence[Layout], Sequence[Layout]]:
        """Layouts of inputs and outputs that a node wants, given what its inputs have."""

    def prepare(self, graph: Graph, nodes: Sequence[Node], buffers: Buffers) -> Sequence[Operation]:
        """Everything that can be done before the inputs are known."""
