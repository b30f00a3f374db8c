"""Vectors modulo odd numbers up to 2^64, against gmpy2 and, on small moduli, exhaustively."""

from __future__ import annotations

from itertools import product
from math import gcd
from random import Random

import gmpy2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from native.field import P61, FieldError, Modulus

PRIMES = [2**31 - 1, 2**31 + 11, 2**32 - 5, 2**32 + 15, P61, 2**63 - 25, 2**63 + 29, 2**64 - 59]
COMPOSITES = [2**32 + 1, 2**63 - 1, 2**63 + 1, 2**64 - 3, 2**64 - 1]
SMALL = [3, 5, 7, 9, 15, 21]
modulus = pytest.mark.parametrize("m", PRIMES + COMPOSITES)


def vector(values: list[int]) -> np.ndarray:
    return np.array(values, np.uint64)


def edges(m: int) -> list[int]:
    """Residues where a carry, a borrow or a reduction may go wrong, and some others."""
    near = {0, 1, 2, m // 2, m // 2 + 1, m - 2, m - 1, 2**32 % m, 2**63 % m, 2**64 % m, 2**128 % m, -(2**64) % m}
    return [*near, *(Random(m).randrange(m) for _ in range(9))]


def pairs(m: int, values: list[int]) -> tuple[np.ndarray, np.ndarray, list[tuple[int, int]]]:
    both = list(product(values, values))
    return vector([a for a, _ in both]), vector([b for _, b in both]), both


def check_ring_operations(m: int, values: list[int]) -> None:
    ring, (a, b, both) = Modulus(m), pairs(m, values)
    assert ring.add(a, b).tolist() == [(x + y) % m for x, y in both]
    assert ring.sub(a, b).tolist() == [(x - y) % m for x, y in both]
    assert ring.mul(a, b).tolist() == [gmpy2.f_mod(gmpy2.mul(x, y), m) for x, y in both]
    assert ring.neg(vector(values)).tolist() == [-x % m for x in values]
    assert ring.dot(a, b) == gmpy2.f_mod(sum(gmpy2.mul(x, y) for x, y in both), m)


@modulus
def test_ring_operations_at_the_edges(m: int) -> None:
    check_ring_operations(m, edges(m))


@pytest.mark.parametrize("m", SMALL)
def test_ring_operations_exhaustively(m: int) -> None:
    check_ring_operations(m, list(range(m)))


@modulus
@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 65537, 2**63, 2**64 - 1])
def test_power(m: int, exponent: int) -> None:
    values = edges(m)
    for count in (0, 1, 3, 4, 5, len(values)):
        wanted = [int(gmpy2.powmod(x, exponent, m)) for x in values[:count]]
        assert Modulus(m).power(vector(values[:count]), exponent).tolist() == wanted


@modulus
def test_inverse(m: int) -> None:
    values = [x for x in edges(m) if gcd(x, m) == 1]
    for count in (0, 1, 2, 3, 4, 5, len(values)):
        wanted = [int(gmpy2.invert(x, m)) for x in values[:count]]
        assert Modulus(m).inverse(vector(values[:count])).tolist() == wanted


@pytest.mark.parametrize("m", [*SMALL, 3 * P61, 641 * 6700417])
def test_inverse_exists_exactly_for_units(m: int) -> None:
    for x in [x for x in (*range(21), 641, P61, m // 3, m - 1) if x < m]:
        if gcd(x, m) == 1:
            assert Modulus(m).inverse(vector([x])).tolist() == [pow(x, -1, m)]
        else:
            for batch in ([x], [1, 2, x, 1, 1], [1, 1, 1, 1, 1, 1, x]):
                with pytest.raises(FieldError, match="no inverse"):
                    Modulus(m).inverse(vector([v % m for v in batch]))


@given(m=st.integers(1, 2**63 - 1).map(lambda k: 2 * k + 1), data=st.data())
def test_any_odd_modulus(m: int, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.integers(0, m - 1), min_size=1, max_size=12))
    exponent = data.draw(st.integers(0, 2**64 - 1))
    a, b, ring = vector(values), vector(values[::-1]), Modulus(m)
    both = list(zip(values, values[::-1], strict=True))
    assert ring.mul(a, b).tolist() == [x * y % m for x, y in both]
    assert ring.dot(a, b) == sum(x * y for x, y in both) % m
    assert ring.power(a, exponent).tolist() == [pow(x, exponent, m) for x in values]
    units = [x for x in values if gcd(x, m) == 1]
    assert ring.inverse(vector(units)).tolist() == [pow(x, -1, m) for x in units]


@pytest.mark.parametrize("m", [3, 2**63 + 29, 2**64 - 59])
@pytest.mark.parametrize("count", [0, 1, 1000])
def test_dot_of_the_largest_residues(m: int, count: int) -> None:
    a = np.full(count, m - 1, np.uint64)
    assert Modulus(m).dot(a, a) == count % m


def test_operands_broadcast_and_keep_their_shape() -> None:
    ring, a = Modulus(97), np.arange(12, dtype=np.uint64).reshape(3, 4)
    assert ring.mul(a, vector([2])[0]).tolist() == (a * 2 % 97).tolist()
    assert ring.add(a[:, :1], a[0]).shape == (3, 4)
    assert ring.sub(a.T, a.T).tolist() == np.zeros((4, 3)).tolist()
    assert ring.power(a, 2).shape == ring.inverse(a + np.uint64(1)).shape == (3, 4)
    assert ring.neg(a[::-1, ::2]).tolist() == ((97 - a[::-1, ::2]) % 97).tolist()


def test_arguments_are_left_alone() -> None:
    ring, a = Modulus(97), np.arange(1, 9, dtype=np.uint64)
    for _ in (ring.add(a, a), ring.mul(a, a), ring.neg(a), ring.power(a, 5), ring.inverse(a)):
        assert a.tolist() == list(range(1, 9))


@pytest.mark.parametrize("m", [-3, 0, 1, 2, 4, 2**64, 2**64 + 5])
def test_moduli_out_of_range(m: int) -> None:
    with pytest.raises(FieldError, match="modulus must be odd"):
        Modulus(m)


@pytest.mark.parametrize("bad", [vector([1, 97]), vector([2**64 - 1, 1]), np.array([1, 2]), np.array([1.0, 2.0])])
def test_operands_that_are_no_residues(bad: np.ndarray) -> None:
    ring, good = Modulus(97), vector([1, 2])
    calls = [
        lambda: ring.add(good, bad),
        lambda: ring.sub(bad, good),
        lambda: ring.mul(good, bad),
        lambda: ring.neg(bad),
        lambda: ring.power(bad, 2),
        lambda: ring.inverse(bad),
        lambda: ring.dot(good, bad),
    ]
    for call in calls:
        with pytest.raises(FieldError, match="residue"):
            call()


def test_shapes_and_exponents_out_of_range() -> None:
    ring, a = Modulus(97), vector([1, 2, 3])
    with pytest.raises(FieldError, match="one length"):
        ring.dot(a, a[:2])
    with pytest.raises(FieldError, match="broadcast"):
        ring.add(a, a[:2])
    for exponent in (-1, 2**64):
        with pytest.raises(FieldError, match="exponent"):
            ring.power(a, exponent)
