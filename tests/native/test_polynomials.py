"""Values of polynomials and Lagrange's weights modulo odd numbers, on every backend, against the reference."""

from __future__ import annotations

from itertools import combinations
from math import gcd

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moduli import BLOCK, COMPOSITES, LANES, PRIMES, on_every_backend, residues, vector

from native import reference
from native.field import P61, FieldError, Modulus, backends

LENGTHS = [*range(4 * LANES + 2), BLOCK - 1, BLOCK, BLOCK + 1]


@on_every_backend(PRIMES + COMPOSITES)
def test_c5_evaluate_at_every_number_of_points(m: int, backend: str) -> None:
    coefficients, points = residues(m, 11), residues(m, LENGTHS[-1], seed=1)
    wanted = [reference.evaluate(coefficients, x, m) for x in points]
    for n in LENGTHS:
        assert Modulus(m, backend).evaluate(vector(coefficients), vector(points[:n])).tolist() == wanted[:n]


@on_every_backend([3, 2**31 - 1, P61, 2**64 - 59])
@pytest.mark.parametrize("terms", [0, 1, 2, 3, 70])
def test_evaluate_any_number_of_terms(m: int, backend: str, terms: int) -> None:
    """Also where all is as large as it can be: a sum that is not yet reduced must not overflow."""
    points = vector([m - 1, m - 1, m - 2, 0, 1, 2])
    for coefficients in ([m - 1] * terms, residues(m, terms)):
        wanted = [reference.evaluate(coefficients, x, m) for x in points.tolist()]
        assert Modulus(m, backend).evaluate(vector(coefficients), points).tolist() == wanted


@on_every_backend(PRIMES)
def test_c5_lagrange_for_every_number_of_points(m: int, backend: str) -> None:
    points = residues(m, 40)
    for n in (*range(2 * LANES + 2), 31, 32, 33, 40):
        for at in (0, m - 3):
            assert Modulus(m, backend).lagrange(vector(points[:n]), at).tolist() == reference.lagrange(
                points[:n], at, m
            )


@on_every_backend([2**31 - 1, P61, 2**64 - 59])
@pytest.mark.parametrize("count", [BLOCK - 1, BLOCK, BLOCK + 1, 300])
def test_lagrange_gives_back_a_polynomial(m: int, backend: str, count: int) -> None:
    ring = Modulus(m, backend)
    coefficients, points = vector(residues(m, count)), vector(list(dict.fromkeys(residues(m, count, seed=1))))
    for at in (0, 5, int(points[7])):
        wanted = reference.evaluate(coefficients.tolist(), at, m)
        assert ring.dot(ring.lagrange(points, at), ring.evaluate(coefficients, points)) == wanted


@on_every_backend([7, 15, P61])
def test_lagrange_at_a_point_picks_it(m: int, backend: str) -> None:
    for i, at in enumerate([1, 2, 3]):
        assert Modulus(m, backend).lagrange(vector([1, 2, 3]), at).tolist() == [int(j == i) for j in range(3)]


@on_every_backend([3, 5, 9, 15, 21])
def test_lagrange_exhaustively(m: int, backend: str) -> None:
    """Weights exist exactly when every difference is a unit."""
    ring = Modulus(m, backend)
    for count in (1, 2, 3):
        for points in combinations(range(m), count):
            if all(gcd(x - y, m) == 1 for x, y in combinations(points, 2)):
                for at in range(m):
                    assert ring.lagrange(vector(list(points)), at).tolist() == reference.lagrange(points, at, m)
            else:
                with pytest.raises(FieldError, match="no inverse"):
                    ring.lagrange(vector(list(points)), 0)


@on_every_backend([97, P61])
@pytest.mark.parametrize(("first", "second"), [(0, 1), (0, 8), (3, 70), (69, 70)])
def test_equal_points_have_no_weights(m: int, backend: str, first: int, second: int) -> None:
    points = np.arange(1, 72, dtype=np.uint64)
    points[second] = points[first]
    with pytest.raises(FieldError, match="two points are equal"):
        Modulus(m, backend).lagrange(points, 0)


@given(m=st.integers(1, 2**63 - 1).map(lambda k: 2 * k + 1), data=st.data())
def test_any_odd_modulus(m: int, data: st.DataObject) -> None:
    ring, residue = Modulus(m, data.draw(st.sampled_from(backends(m)))), st.integers(0, m - 1)
    coefficients, points = data.draw(st.lists(residue, max_size=9)), data.draw(st.lists(residue, max_size=9))
    wanted = [reference.evaluate(coefficients, x, m) for x in points]
    assert ring.evaluate(vector(coefficients), vector(points)).tolist() == wanted


def test_values_have_the_shape_of_the_points() -> None:
    ring, points = Modulus(97), np.arange(6, dtype=np.uint64).reshape(2, 3)
    assert ring.evaluate(vector([1, 2]), points.T).tolist() == [[1, 7], [3, 9], [5, 11]]
    assert ring.evaluate(vector([]), points).tolist() == [[0, 0, 0], [0, 0, 0]]


def test_shapes_and_places_out_of_range() -> None:
    ring, square = Modulus(97), np.ones((2, 2), np.uint64)
    with pytest.raises(FieldError, match="coefficients must be a vector"):
        ring.evaluate(square, square)
    with pytest.raises(FieldError, match="points must be a vector"):
        ring.lagrange(square, 0)
    for at in (-1, 97):
        with pytest.raises(FieldError, match="at must be"):
            ring.lagrange(square[0], at)
