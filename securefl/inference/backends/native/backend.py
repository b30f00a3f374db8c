"""The backend of our own kernels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from native.nn import Kernels, NNError, Program

from ...cost import Rates
from ...errors import ModelError
from ...graph import Graph
from ...node import Array, Node
from ..interface import Buffers, Choice, Layout, Operation
from . import dense, embedding, images, shaping
from .layouts import layouts_of
from .lowering import Context, Lowering, Options

WORTH_SHARING = 150e-6
"""Seconds of work from which on it pays to wake threads, which takes tens of microseconds where cores sleep."""
LOWERINGS: dict[str, Lowering] = {**dense.LOWERINGS, **embedding.LOWERINGS, **images.LOWERINGS, **shaping.LOWERINGS}


class NativeBackend:
    """Every node becomes kernel steps; all of them run in one call, without the interpreter's lock."""

    name = "native"
    transfer = (0.0, 0.0)

    def __init__(self, kernels: Kernels, rates: Rates, options: Options, prepared: dict[str, Array]) -> None:
        self._kernels, self._rates, self._options, self._prepared = kernels, rates, options, prepared

    def _context(self, graph: Graph, parts: int = 1) -> Context:
        return Context(graph, replace(self._kernels, parts=parts), self._rates, self._options, self._prepared)

    def supports(self, graph: Graph, node: Node) -> bool:
        """Whether there is a kernel for this node as it is."""
        return node.op in LOWERINGS and LOWERINGS[node.op].supports(self._context(graph), node)

    def cost(self, graph: Graph, node: Node) -> Choice:
        """The cheapest algorithm on one thread, by the cost model: it is the same for any number of threads."""
        choice = LOWERINGS[node.op].cost(self._context(graph), node)
        parts = self._parts(choice)
        if not self._options.pool or choice.seconds == 0:
            return choice
        scratch = 4 * replace(self._kernels, parts=parts).scratch_of_all(choice.scratch // 4)
        return replace(
            choice, scratch=scratch, reason=", ".join(filter(None, (choice.reason, _sharing(choice, parts))))
        )

    def _parts(self, choice: Choice) -> int:
        pool = self._options.pool
        return pool.threads if pool and choice.divisible and choice.seconds >= WORTH_SHARING else 1

    def layouts(
        self, graph: Graph, node: Node, have: Mapping[str, Layout]
    ) -> tuple[Sequence[Layout], Sequence[Layout]]:
        """Images in blocks, all else planar."""
        return layouts_of(self._context(graph), node, have)

    def prepare(self, graph: Graph, nodes: Sequence[Node], buffers: Buffers) -> list[Operation]:
        """Weights packed, jobs checked. Raises ModelError for weights of a damaged file, which fit no kernel."""
        operations = list[Operation]()
        for node in nodes:
            choice = self.cost(graph, node)
            try:
                steps = tuple(LOWERINGS[node.op].steps(self._context(graph, self._parts(choice)), node, buffers))
            except NNError as error:
                raise ModelError(f"{node}: {error}") from None
            operations.append(Operation(str(node), choice, Program(steps, self._options.pool).run, steps))
        return operations


def _sharing(choice: Choice, parts: int) -> str:
    if parts > 1:
        return f"{parts} threads"
    return "too short to share" if choice.divisible else "not shared"
