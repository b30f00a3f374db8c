from fractions import Fraction
from itertools import product
from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bloom

SMALL = {"cells": st.integers(1, 40), "hashes": st.integers(1, 8), "keys": st.integers(0, 12)}


@pytest.mark.parametrize(
    ("cells", "hashes", "keys", "rate", "digits"),
    [(64, 2, 10, 0.073446441, 9), (1024, 7, 100, 7.36625783e-3, 11)],
)
def test_exact_rate_has_its_known_answers(cells, hashes, keys, rate, digits):
    assert round(bloom.false_positive_rate(cells, hashes, keys), digits) == rate


def test_usual_formula_has_its_known_answer():
    assert round(bloom.approximate_false_positive_rate(64, 2, 10), 9) == 0.072030171


@given(**SMALL)
def test_exact_rate_is_the_moment_of_the_exact_occupancy(cells, hashes, keys):
    moment = sum(p * Fraction(d, cells) ** hashes for d, p in enumerate(bloom.occupancy(cells, hashes * keys)))
    assert bloom.false_positive_rate(cells, hashes, keys) == pytest.approx(float(moment), rel=1e-15, abs=0)


@pytest.mark.parametrize(("cells", "balls"), [(1, 3), (2, 0), (2, 5), (3, 4), (5, 3)])
def test_occupancy_counts_every_sequence_of_throws(cells, balls):
    sequences = [len(set(throws)) for throws in product(range(cells), repeat=balls)]
    expected = [Fraction(sequences.count(d), len(sequences)) for d in range(min(cells, balls) + 1)]
    assert bloom.occupancy(cells, balls) == expected


@given(**SMALL)
def test_usual_formula_is_never_above_the_exact_rate(cells, hashes, keys):
    exact = bloom.false_positive_rate(cells, hashes, keys)
    assert 0 <= bloom.approximate_false_positive_rate(cells, hashes, keys) <= exact * (1 + 1e-12)
    assert exact <= 1


@given(keys=st.integers(1, 3000), rate=st.floats(1e-5, 0.9), hashes=st.integers(1, 12))
def test_optimal_cells_are_the_fewest_that_meet_the_rate(keys, rate, hashes):
    cells = bloom.optimal_cells(keys, rate, hashes)
    assert bloom.false_positive_rate(cells, hashes, keys) <= rate
    assert cells == 1 or bloom.false_positive_rate(cells - 1, hashes, keys) > rate


@pytest.mark.parametrize("rate", [0.5, 0.1, 0.01, 1e-4])
def test_optimal_size_is_the_smallest_over_all_hashes(rate):
    best = min((bloom.optimal_cells(50, rate, hashes), hashes) for hashes in range(1, 20))
    assert bloom.optimal_size(50, rate) == best


@pytest.mark.parametrize(("cells", "keys"), [(64, 10), (400, 30), (5, 50), (10_000, 1000)])
def test_optimal_hashes_are_near_the_textbook_ideal(cells, keys):
    assert abs(bloom.optimal_hashes(cells, keys) - max(1, cells / keys * log(2))) <= 1


def test_optimal_hashes_stay_in_range():
    assert bloom.optimal_hashes(1000, 1) == bloom.MAX_HASHES


def test_a_large_filter_is_sized_exactly_too():
    cells, hashes = bloom.optimal_size(10**8, 0.01)
    assert 0.00999999 < bloom.false_positive_rate(cells, hashes, 10**8) <= 0.01
    assert cells == pytest.approx(9.593e8, rel=1e-3)


def test_tiny_rates_do_not_cancel_to_nothing():
    assert bloom.false_positive_rate(2**32 - 1, 32, 1) == pytest.approx(
        float(sum(p * Fraction(d, 2**32 - 1) ** 32 for d, p in enumerate(bloom.occupancy(2**32 - 1, 32)))), rel=1e-14
    )


@pytest.mark.parametrize(
    ("call", "setting"),
    [
        (lambda: bloom.false_positive_rate(0, 1, 1), "cells"),
        (lambda: bloom.false_positive_rate(2**32, 1, 1), "cells"),
        (lambda: bloom.false_positive_rate(8, 33, 1), "hashes"),
        (lambda: bloom.false_positive_rate(8, 1, -1), "keys"),
        (lambda: bloom.optimal_cells(0, 0.1, 1), "keys"),
        (lambda: bloom.optimal_cells(10, 1.0, 1), "rate"),
        (lambda: bloom.optimal_cells(10, float("nan"), 1), "rate"),
        (lambda: bloom.optimal_cells(10**10, 1e-6, 7), "rate"),
        (lambda: bloom.optimal_hashes(10, -1), "keys"),
        (lambda: bloom.optimal_size(10, 0.0), "rate"),
    ],
)
def test_impossible_sizes_are_refused_by_name(call, setting):
    with pytest.raises(bloom.FilterError, match=setting):
        call()
