"""Neighbourhoods: complete, or Harary over a permutation that the roster fixes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securefl.secagg import Graph, default_threshold
from securefl.transcript import Label, digest

SEED = bytes(range(32))
sizes = st.integers(5, 60)
even = st.integers(1, 12).map(lambda half: 2 * half)
seeds = st.binary(min_size=32, max_size=32)


def edges(graph: Graph) -> set[tuple[int, int]]:
    return {(u, v) for u in range(1, graph.size + 1) for v in graph.neighbours(u)}


def reached(graph: Graph, without: set[int]) -> set[int]:
    """Who can be reached from some client if others are gone."""
    left = set(range(1, graph.size + 1)) - without
    found, border = set(), {min(left)}
    while border:
        found |= border
        border = {v for u in border for v in graph.neighbours(u)} & left - found
    return found


@given(sizes, even, seeds)
def test_a_sparse_graph_is_regular_symmetric_and_without_loops(size: int, degree: int, seed: bytes) -> None:
    graph = Graph(size, degree, seed)
    joined = edges(graph)
    for u in range(1, size + 1):
        neighbours = graph.neighbours(u)
        assert len(neighbours) == min(degree, size - 1)
        assert list(neighbours) == sorted(set(neighbours) - {u})
    assert joined == {(v, u) for u, v in joined}
    assert graph.complete == (degree >= size - 1)


@settings(max_examples=50)
@given(sizes, even, seeds, st.data())
def test_a_harary_graph_stays_connected_without_fewer_than_its_degree(
    size: int, degree: int, seed: bytes, data: st.DataObject
) -> None:
    """Harary 1962: k-connected, so that any k - 1 may be lost."""
    graph = Graph(size, degree, seed)
    lost = data.draw(st.sets(st.integers(1, size), max_size=min(degree, size - 1) - 1))
    assert reached(graph, lost) == set(range(1, size + 1)) - lost


@given(sizes)
def test_the_complete_graph_joins_everybody(size: int) -> None:
    assert edges(Graph(size, None)) == {(u, v) for u in range(1, size + 1) for v in range(1, size + 1) if u != v}


def test_the_ring_is_sorted_by_labelled_hashes_of_the_roster() -> None:
    ring = sorted(range(1, 41), key=lambda client: digest(Label.GRAPH, SEED, client))
    graph = Graph(40, 4, SEED)
    for at, client in enumerate(ring):
        assert set(graph.neighbours(client)) == {ring[(at + step) % 40] for step in (-2, -1, 1, 2)}


def test_every_roster_gives_another_graph() -> None:
    graphs = {frozenset(edges(Graph(20, 4, bytes((i,)) * 32))) for i in range(20)}
    assert len(graphs) == 20


@pytest.mark.parametrize(("clients", "threshold"), [(3, 2), (4, 3), (5, 3), (7, 5), (100, 67), (128, 85)])
def test_the_default_threshold_is_two_thirds_of_the_neighbours_and_one_more(clients: int, threshold: int) -> None:
    assert default_threshold(clients) == threshold
