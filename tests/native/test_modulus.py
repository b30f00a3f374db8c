"""Vectors modulo odd numbers up to 2^64, on every backend, against gmpy2 and, on small moduli, exhaustively."""

from __future__ import annotations

from itertools import accumulate, product
from math import gcd
from typing import Any

import gmpy2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moduli import BLOCK, COMPOSITES, LANES, PRIMES, SMALL, edges, on_every_backend, residues, vector

from native import _native
from native.field import P61, FieldError, Modulus, backends

LENGTHS = [*range(4 * LANES + 2), *(n + d for n in (BLOCK, 2 * BLOCK) for d in (-1, 0, 1))]


def check_ring_operations(ring: Modulus, values: list[int]) -> None:
    m, both = ring.m, list(product(values, values))
    a, b = vector([x for x, _ in both]), vector([y for _, y in both])
    assert ring.add(a, b).tolist() == [(x + y) % m for x, y in both]
    assert ring.sub(a, b).tolist() == [(x - y) % m for x, y in both]
    assert ring.mul(a, b).tolist() == [gmpy2.f_mod(gmpy2.mul(x, y), m) for x, y in both]
    assert ring.neg(vector(values)).tolist() == [-x % m for x in values]
    assert ring.dot(a, b) == gmpy2.f_mod(sum(gmpy2.mul(x, y) for x, y in both), m)
    for factor in values:
        assert ring.scale(vector(values), factor).tolist() == [x * factor % m for x in values]


@on_every_backend(PRIMES + COMPOSITES)
def test_ring_operations_at_the_edges(m: int, backend: str) -> None:
    check_ring_operations(Modulus(m, backend), edges(m))


@on_every_backend(SMALL)
def test_ring_operations_exhaustively(m: int, backend: str) -> None:
    check_ring_operations(Modulus(m, backend), list(range(m)))


@on_every_backend(PRIMES)
def test_c5_every_length(m: int, backend: str) -> None:
    """Against big integers near 2^31, 2^32, 2^52, 2^63 and 2^64 and at 2^61 - 1, whatever the last register holds."""
    ring = Modulus(m, backend)
    x, y = residues(m, LENGTHS[-1]), residues(m, LENGTHS[-1], seed=1)[::-1]
    a, b = vector(x), vector(y)
    products = [gmpy2.mul(*pair) for pair in zip(x, y, strict=True)]
    units = vector([v or 1 for v in x])
    wanted = {
        "add": [(v + w) % m for v, w in zip(x, y, strict=True)],
        "sub": [(v - w) % m for v, w in zip(x, y, strict=True)],
        "mul": [int(p % m) for p in products],
        "scale": [int(gmpy2.mul(v, m - 2) % m) for v in x],
        "power": [int(gmpy2.powmod(v, 2**64 - 1, m)) for v in x],
        "inverse": [int(gmpy2.invert(v or 1, m)) for v in x],
    }
    sums = [0, *accumulate(products)]
    for n in LENGTHS:
        got = {
            "add": ring.add(a[:n], b[:n]),
            "sub": ring.sub(a[:n], b[:n]),
            "mul": ring.mul(a[:n], b[:n]),
            "scale": ring.scale(a[:n], m - 2),
            "power": ring.power(a[:n], 2**64 - 1),
            "inverse": ring.inverse(units[:n]),
        }
        assert {name: out.tolist() for name, out in got.items()} == {name: out[:n] for name, out in wanted.items()}
        assert ring.dot(a[:n], b[:n]) == sums[n] % m


@on_every_backend([2**31 - 1, P61, 2**64 - 59])
def test_c5_nothing_is_written_beyond_the_end(m: int, backend: str) -> None:
    a = vector(residues(m, 3 * BLOCK))[3:]
    for n in LENGTHS:
        out = np.zeros(n + BLOCK, np.uint64)
        inside = out[:n]
        _native.mod_mul(backend, inside, a[:n], a[:n], m)
        _native.mod_scale(backend, inside, a[:n], 2, m)
        _native.mod_power(backend, inside, a[:n], 3, m)
        _native.mod_inverse(backend, inside, a[:n], m)
        _native.mod_evaluate(backend, inside, a[:3], a[:n], m)
        _native.mod_lagrange(backend, inside, a[:n], 5, m)
        assert not out[n:].any()
        assert inside.all()


@on_every_backend(PRIMES + COMPOSITES)
def test_many_products(m: int, backend: str) -> None:
    x, y = residues(m, 3000), residues(m, 3000, seed=1)
    assert Modulus(m, backend).mul(vector(x), vector(y)).tolist() == [v * w % m for v, w in zip(x, y, strict=True)]


@on_every_backend(PRIMES + COMPOSITES)
@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 65537, 2**63])
def test_power(m: int, backend: str, exponent: int) -> None:
    values = edges(m)
    wanted = [int(gmpy2.powmod(x, exponent, m)) for x in values]
    assert Modulus(m, backend).power(vector(values), exponent).tolist() == wanted


@on_every_backend(COMPOSITES)
def test_inverse_modulo_composites(m: int, backend: str) -> None:
    values = [x for x in edges(m) if gcd(x, m) == 1] * 9
    for count in (0, 1, 2, 3, 4, 5, len(values)):
        wanted = [int(gmpy2.invert(x, m)) for x in values[:count]]
        assert Modulus(m, backend).inverse(vector(values[:count])).tolist() == wanted


@on_every_backend([*SMALL, 3 * P61, 641 * 6700417])
def test_inverse_exists_exactly_for_units(m: int, backend: str) -> None:
    ring = Modulus(m, backend)
    for x in [x for x in (*range(21), 641, P61, m // 3, m - 1) if x < m]:
        if gcd(x, m) == 1:
            assert ring.inverse(vector([x])).tolist() == [pow(x, -1, m)]
        else:
            for batch in ([x], [1, 2, x, 1, 1], [1] * 6 + [x], [1] * BLOCK + [x], [x] + [1] * BLOCK):
                with pytest.raises(FieldError, match="no inverse"):
                    ring.inverse(vector([v % m for v in batch]))


@given(m=st.integers(1, 2**63 - 1).map(lambda k: 2 * k + 1), data=st.data())
def test_any_odd_modulus(m: int, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.integers(0, m - 1), min_size=1, max_size=12))
    exponent, factor = data.draw(st.integers(0, 2**64 - 1)), data.draw(st.integers(0, m - 1))
    ring = Modulus(m, data.draw(st.sampled_from(backends(m))))
    a, b = vector(values), vector(values[::-1])
    both = list(zip(values, values[::-1], strict=True))
    assert ring.mul(a, b).tolist() == [x * y % m for x, y in both]
    assert ring.scale(a, factor).tolist() == [x * factor % m for x in values]
    assert ring.dot(a, b) == sum(x * y for x, y in both) % m
    assert ring.power(a, exponent).tolist() == [pow(x, exponent, m) for x in values]
    units = [x for x in values if gcd(x, m) == 1]
    assert ring.inverse(vector(units)).tolist() == [pow(x, -1, m) for x in units]


@on_every_backend([3, 2**52 - 47, P61, 2**63 + 29, 2**64 - 59])
@pytest.mark.parametrize("count", [0, 1, 1000])
def test_dot_of_the_largest_residues(m: int, backend: str, count: int) -> None:
    a = np.full(count, m - 1, np.uint64)
    assert Modulus(m, backend).dot(a, a) == count % m


def test_backends_by_modulus() -> None:
    for m in PRIMES + COMPOSITES + SMALL:
        assert backends(m)[-1] == "portable"
        assert Modulus(m).backend is None
        assert ("p61" in backends(m)) == (m == P61)
        assert "ifma" not in backends(m) or m < 2**52
    with pytest.raises(FieldError, match=r"no backend 'p61' modulo 97 .* choose one of .*portable"):
        Modulus(97, "p61")


def test_operands_broadcast_and_keep_their_shape() -> None:
    ring, a = Modulus(97), np.arange(12, dtype=np.uint64).reshape(3, 4)
    assert ring.mul(a, vector([2])[0]).tolist() == (a * 2 % 97).tolist()
    assert ring.add(a[:, :1], a[0]).shape == (3, 4)
    assert ring.sub(a.T, a.T).tolist() == np.zeros((4, 3)).tolist()
    assert ring.power(a, 2).shape == ring.inverse(a + np.uint64(1)).shape == ring.scale(a, 2).shape == (3, 4)
    assert ring.neg(a[::-1, ::2]).tolist() == ((97 - a[::-1, ::2]) % 97).tolist()
    assert ring.mul(vector([5])[0], vector([7])[0]).shape == ()


def test_arguments_are_left_alone() -> None:
    ring, a = Modulus(97), np.arange(1, 9, dtype=np.uint64)
    for _ in (ring.add(a, a), ring.mul(a, a), ring.neg(a), ring.scale(a, 3), ring.power(a, 5), ring.inverse(a)):
        assert a.tolist() == list(range(1, 9))


@pytest.mark.parametrize("m", [-3, 0, 1, 2, 4, 2**64, 2**64 + 5, 7.0, "7"])
def test_moduli_out_of_range(m: Any) -> None:
    for make in (Modulus, backends):
        with pytest.raises(FieldError, match="modulus must be odd"):
            make(m)


NO_RESIDUES = [[1, 97], [2**64 - 1, 1], [1] * BLOCK + [97], [97] + [1] * BLOCK, [1] * (2 * BLOCK - 1) + [97]]


@on_every_backend([97, P61])
@pytest.mark.parametrize("values", NO_RESIDUES, ids=len)
def test_operands_that_are_no_residues(m: int, backend: str, values: list[int]) -> None:
    bad = vector([m if v == 97 else v for v in values])
    check_refused(Modulus(m, backend), bad)


@pytest.mark.parametrize("bad", [np.array([1, 2]), np.array([1.0, 2.0]), np.array([1, 2], ">u8")])
def test_operands_that_are_no_words(bad: np.ndarray) -> None:
    check_refused(Modulus(97), bad)


@pytest.mark.parametrize("bad", [[1, 2], 5, b"12345678"])
def test_operands_that_are_no_arrays(bad: Any) -> None:
    with pytest.raises(FieldError, match=f"residues must be uint64 in an array, not {type(bad).__name__}"):
        Modulus(97).add(np.ones(1, np.uint64), bad)


def check_refused(ring: Modulus, bad: np.ndarray) -> None:
    good = np.ones(bad.size, np.uint64)
    calls = [
        lambda: ring.add(good, bad),
        lambda: ring.sub(bad, good),
        lambda: ring.mul(good, bad),
        lambda: ring.neg(bad),
        lambda: ring.scale(bad, 2),
        lambda: ring.power(bad, 2),
        lambda: ring.inverse(bad),
        lambda: ring.dot(good, bad),
        lambda: ring.dot(bad, good),
        lambda: ring.evaluate(good, bad),
        lambda: ring.evaluate(bad, good),
        lambda: ring.lagrange(bad, 0),
    ]
    for call in calls:
        with pytest.raises(FieldError, match="residue"):
            call()


def test_shapes_and_numbers_out_of_range() -> None:
    ring, a = Modulus(97), vector([1, 2, 3])
    with pytest.raises(FieldError, match="one length"):
        ring.dot(a, a[:2])
    with pytest.raises(FieldError, match="broadcast"):
        ring.add(a, a[:2])
    for exponent in (-1, 2**64):
        with pytest.raises(FieldError, match="exponent"):
            ring.power(a, exponent)
    for factor in (-1, 97, 2**64):
        with pytest.raises(FieldError, match="factor"):
            ring.scale(a, factor)
