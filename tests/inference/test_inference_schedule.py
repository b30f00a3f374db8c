"""Hybrid scheduling: no other assignment is cheaper, transfers included, and every transfer is counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise, product

from hypothesis import given
from hypothesis import strategies as st

from securefl.inference import Graph, Node, Spec
from securefl.inference.backends.interface import Choice
from securefl.inference.schedule import assign, parts

SIZES = [10, 1000, 10, 1000, 10]


@dataclass(frozen=True, eq=False)
class Priced:
    """A backend that does nothing but cost: seconds of each node, or None for what it does not support."""

    name: str
    seconds: list[float | None]
    transfer: tuple[float, float] = field(default=(0.0, 0.0))

    def supports(self, _graph: Graph, node: Node) -> bool:
        return self.seconds[int(node.outputs[0][1:])] is not None

    def cost(self, _graph: Graph, node: Node) -> Choice:
        return Choice(self.name, self.seconds[int(node.outputs[0][1:])] or 0.0)


def chain() -> Graph:
    """Nodes 0 to 4, node i reading SIZES[i] numbers of two values: its input is as long as the sum of both."""
    nodes = [Node("Concat", (f"v{i - 1}" if i else "x", f"c{i}"), (f"v{i}",), {"axis": 0}) for i in range(len(SIZES))]
    return Graph(tuple(nodes), {"x": Spec((5,)), **{f"c{i}": Spec((n,)) for i, n in enumerate(SIZES)}}, ("v4",), {})


def price(graph: Graph, chosen: tuple[Priced, ...]) -> float:
    """Work, the way in, and for each change what both ask for a call and for the bytes that the node reads."""

    def handed(node: Node, backend: Priced) -> float:
        return backend.transfer[0] + backend.transfer[1] * sum(graph.specs[name].bytes for name in node.inputs)

    work = sum(backend.cost(graph, node).seconds for node, backend in zip(graph.nodes, chosen, strict=True))
    changes = [
        handed(node, before) + handed(node, after)
        for node, (before, after) in zip(graph.nodes[1:], pairwise(chosen), strict=True)
        if before is not after
    ]
    return work + handed(graph.nodes[0], chosen[0]) + sum(changes)


seconds = st.lists(st.none() | st.floats(0, 1), min_size=5, max_size=5)
transfers = st.tuples(st.floats(0, 1), st.floats(0, 1e-3))


@given(costs=st.tuples(seconds, seconds), each=st.tuples(transfers, transfers))
def test_no_assignment_is_cheaper(costs: tuple[list, list], each: tuple) -> None:
    graph = chain().with_specs()
    able = Priced("always", [0.7] * 5, (0.1, 1e-5))
    backends = [able, *(Priced(f"p{i}", *pair) for i, pair in enumerate(zip(costs, each, strict=True)))]
    found = assign(graph, backends, {})  # type: ignore[arg-type]
    possible = [
        chosen
        for chosen in product(backends, repeat=5)
        if all(backend.supports(graph, node) for node, backend in zip(graph.nodes, chosen, strict=True))
    ]
    assert price(graph, found) <= min(price(graph, chosen) for chosen in possible) + 1e-9  # type: ignore[arg-type]


def test_a_dear_operator_goes_where_it_is_cheap_and_its_neighbours_stay() -> None:
    graph = chain().with_specs()
    near = Priced("near", [0.1, 0.1, 9.0, 0.1, 0.1])
    far = Priced("far", [1.0, 1.0, 0.5, 1.0, 1.0], (0.3, 0.0))
    found = assign(graph, [near, far], {})  # type: ignore[list-item]
    assert [backend.name for backend in found] == ["near", "near", "far", "near", "near"]
    cut = parts(graph, found)
    assert [len(part.nodes) for part in cut] == [2, 1, 2]
    assert [part.inputs for part in cut[1:]] == [("c2", "v1"), ("c3", "c4", "v2")]
    assert {backend.name for backend in assign(graph, [near, Priced("far", far.seconds, (9.0, 0.0))], {})} == {"near"}  # type: ignore[list-item]
