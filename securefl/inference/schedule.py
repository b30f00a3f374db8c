"""Which backend runs which node: the cheapest way through the graph, transfers between backends included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .backends.interface import Backend
from .errors import UnsupportedOperatorError
from .graph import Graph
from .node import Node

__all__ = ["Part", "assign", "parts"]


@dataclass(frozen=True)
class Part:
    """Consecutive nodes of one backend, and the values that it is handed or hands back."""

    backend: Backend
    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def assign(graph: Graph, backends: Sequence[Backend], placement: Mapping[str, str]) -> tuple[Backend, ...]:
    """A backend for every node, in the order of the nodes.

    The nodes are walked in order, as one chain: for every backend that could run a node, the cheapest way to get there
    (Viterbi's algorithm). Changing from one to another costs what both ask for a call, and for the bytes of the values
    that the node reads. `placement` says which backend an operator, or the node that makes a value, must go to. Raises
    UnsupportedOperatorError for a node that none supports.
    """
    costs, ways = dict[int, float](), list[dict[int, int]]()
    if not graph.nodes:
        return ()  # nothing depends on the inputs
    for place, node in enumerate(graph.nodes):
        able = _able(graph, node, backends, placement)
        reached, came = dict[int, float](), dict[int, int]()
        for i in able:
            work = backends[i].cost(graph, node).seconds
            if place == 0:
                reached[i] = work + _entering(graph, node, backends[i])
                continue
            came[i] = min(costs, key=lambda j: costs[j] + _change(graph, node, backends[j], backends[i]))
            reached[i] = costs[came[i]] + _change(graph, node, backends[came[i]], backends[i]) + work
        costs = reached
        ways.append(came)
    return _walk_back(backends, costs, ways)


def _able(graph: Graph, node: Node, backends: Sequence[Backend], placement: Mapping[str, str]) -> list[int]:
    """Places of the backends that may run a node."""
    wanted = placement.get(node.outputs[0], placement.get(node.op))
    allowed = [i for i, backend in enumerate(backends) if wanted in (None, backend.name)]
    able = [i for i in allowed if backends[i].supports(graph, node)]
    if not able:
        names = wanted or ", ".join(backend.name for backend in backends)
        raise UnsupportedOperatorError(f"{node}: not supported by {names}; add a backend that does, such as numpy")
    return able


def _entering(graph: Graph, node: Node, backend: Backend) -> float:
    call, byte = backend.transfer
    read = {name for name in node.inputs if name and name not in graph.constants}
    return call + byte * sum(graph.specs[name].bytes for name in read)


def _change(graph: Graph, node: Node, before: Backend, after: Backend) -> float:
    return 0.0 if before is after else _entering(graph, node, before) + _entering(graph, node, after)


def _walk_back(
    backends: Sequence[Backend], costs: dict[int, float], ways: Sequence[dict[int, int]]
) -> tuple[Backend, ...]:
    """From the cheapest end to the start: `ways[k][i]` is who ran node k - 1 when i runs node k."""
    chosen = [min(costs, key=lambda i: costs[i])]
    for came in reversed(ways[1:]):
        chosen.append(came[chosen[-1]])
    return tuple(backends[i] for i in reversed(chosen))


def parts(graph: Graph, chosen: Sequence[Backend]) -> tuple[Part, ...]:
    """Runs of nodes on one backend, and what crosses their borders."""
    runs = list[tuple[Backend, list[Node]]]()
    for node, backend in zip(graph.nodes, chosen, strict=True):
        if not runs or runs[-1][0] is not backend:
            runs.append((backend, []))
        runs[-1][1].append(node)
    made = [{name for node in nodes for name in node.outputs} for _, nodes in runs]
    read = [{name for node in nodes for name in node.inputs if name} for _, nodes in runs]
    found = list[Part]()
    for i, (backend, nodes) in enumerate(runs):
        elsewhere = set(graph.outputs).union(*(names for j, names in enumerate(read) if j != i))
        inputs = sorted(read[i] - made[i] - graph.constants.keys())
        found.append(Part(backend, tuple(nodes), tuple(inputs), tuple(sorted(made[i] & elsewhere))))
    return tuple(found)
