"""The backend of our own kernels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from native.nn import Kernels, NNError, Program

from ...cost import Rates
from ...errors import ModelError
from ...graph import Graph
from ...node import Array, Node
from ..interface import Buffers, Choice, Layout, Operation
from . import dense, embedding, images, shaping
from .layouts import layouts_of
from .lowering import Context, Lowering, Options

LOWERINGS: dict[str, Lowering] = {**dense.LOWERINGS, **embedding.LOWERINGS, **images.LOWERINGS, **shaping.LOWERINGS}


class NativeBackend:
    """Every node becomes kernel steps; all of them run in one call, without the interpreter's lock."""

    name = "native"
    transfer = (0.0, 0.0)

    def __init__(self, kernels: Kernels, rates: Rates, options: Options, prepared: dict[str, Array]) -> None:
        self._kernels, self._rates, self._options, self._prepared = kernels, rates, options, prepared

    def _context(self, graph: Graph) -> Context:
        return Context(graph, self._kernels, self._rates, self._options, self._prepared)

    def supports(self, graph: Graph, node: Node) -> bool:
        """Whether there is a kernel for this node as it is."""
        return node.op in LOWERINGS and LOWERINGS[node.op].supports(self._context(graph), node)

    def cost(self, graph: Graph, node: Node) -> Choice:
        """The cheapest algorithm, by the cost model."""
        return LOWERINGS[node.op].cost(self._context(graph), node)

    def layouts(
        self, graph: Graph, node: Node, have: Mapping[str, Layout]
    ) -> tuple[Sequence[Layout], Sequence[Layout]]:
        """Images in blocks, all else planar."""
        return layouts_of(self._context(graph), node, have)

    def prepare(self, graph: Graph, nodes: Sequence[Node], buffers: Buffers) -> list[Operation]:
        """Weights packed, jobs checked. Raises ModelError for weights of a damaged file, which fit no kernel."""
        context, operations = self._context(graph), list[Operation]()
        for node in nodes:
            lowering = LOWERINGS[node.op]
            try:
                steps = tuple(lowering.steps(context, node, buffers))
            except NNError as error:
                raise ModelError(f"{node}: {error}") from None
            operations.append(Operation(str(node), lowering.cost(context, node), Program(steps).run, steps))
        return operations
