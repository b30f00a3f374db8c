"""The tree of a dealer's bundles: a path proves its own leaf, in its own place, and nothing else."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securefl.crypto import CryptoError
from securefl.secagg.graph import Graph
from securefl.secagg.tree import Tree, root_above

SIZES = range(1, 34)


def leaves(count: int) -> list[bytes]:
    return [hashlib.sha256(bytes([at])).digest() for at in range(count)]


@pytest.mark.parametrize("count", SIZES)
def test_every_leaf_leads_to_the_root_and_its_depth_is_logarithmic(count: int) -> None:
    tree = Tree(leaves(count))
    for at, leaf in enumerate(leaves(count)):
        path = tree.path(at)
        assert root_above(leaf, at, count, path) == tree.root
        assert len(path) <= 32 * (count - 1).bit_length()
    assert len(tree.path(0)) == 32 * (count - 1).bit_length()


@given(count=st.integers(2, 33), data=st.data())
def test_a10_a_path_proves_no_other_leaf_and_no_other_place(count: int, data: st.DataObject) -> None:
    tree, known = Tree(leaves(count)), leaves(count)
    at, other = data.draw(st.permutations(range(count)))[:2]
    assert root_above(known[other], at, count, tree.path(at)) != tree.root
    try:
        assert root_above(known[at], other, count, tree.path(at)) != tree.root
    except CryptoError:
        assert len(tree.path(at)) != len(tree.path(other))


@given(count=st.integers(2, 33), data=st.data())
def test_a10_a_flipped_bit_of_a_path_misses_the_root(count: int, data: st.DataObject) -> None:
    tree, at = Tree(leaves(count)), data.draw(st.integers(0, count - 1))
    bit = data.draw(st.integers(0, 8 * len(tree.path(at)) - 1))
    path = bytearray(tree.path(at))
    path[bit // 8] ^= 1 << bit % 8
    assert root_above(leaves(count)[at], at, count, bytes(path)) != tree.root


@given(count=st.integers(1, 33), data=st.data())
def test_a_path_of_another_length_is_refused(count: int, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, count - 1))
    path = Tree(leaves(count)).path(at)
    wrong = data.draw(st.one_of(st.integers(1, 99).map(lambda more: path + bytes(more)), st.just(path[:-1])))
    if wrong != path:
        with pytest.raises(CryptoError, match="the path has the wrong length"):
            root_above(leaves(count)[at], at, count, wrong)


def test_a_node_is_no_leaf() -> None:
    """The two leaves of a tree, taken as one, are another tree's leaf under the same root only if labels fail."""
    left, right = leaves(2)
    assert Tree([left + right]).root != Tree([left, right]).root != hashlib.sha256(left + right).digest()


@pytest.mark.parametrize(("size", "degree"), [(7, None), (7, 6), (9, 4), (20, 6)])
def test_the_place_of_a_neighbour(size: int, degree: int | None) -> None:
    graph = Graph(size, degree, bytes(32))
    for u in range(1, size + 1):
        neighbours = graph.neighbours(u)
        assert len(neighbours) == graph.neighbourhood
        assert [graph.place(u, v) for v in neighbours] == list(range(len(neighbours)))
