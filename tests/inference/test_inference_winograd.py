"""The generator of Winograd's matrices, in exact arithmetic."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from securefl.inference.winograd import POINTS, floats, winograd

KINDS = [(n, k) for n in range(1, 10) for k in range(1, 10) if 1 <= n + k - 2 <= len(POINTS)]
small = st.fractions(-50, 50, max_denominator=20)


def times(matrix: object, vector: list[Fraction]) -> list[Fraction]:
    return [sum((a * x for a, x in zip(row, vector, strict=True)), Fraction(0)) for row in matrix]  # type: ignore[attr-defined]


@given(data=st.data(), of=st.sampled_from(KINDS))
def test_filtering_is_exact(data: st.DataObject, of: tuple[int, int]) -> None:
    tile, kernel = of
    w = winograd(tile, kernel)
    d = data.draw(st.lists(small, min_size=w.size, max_size=w.size))
    g = data.draw(st.lists(small, min_size=kernel, max_size=kernel))
    products = [a * b for a, b in zip(times(w.input, d), times(w.filter, g), strict=True)]
    assert times(w.output, products) == [sum(g[j] * d[i + j] for j in range(kernel)) for i in range(tile)]


@pytest.mark.parametrize(("tile", "kernel"), KINDS)
def test_the_three_matrices_are_one_bilinear_form(tile: int, kernel: int) -> None:
    """Every product of an input and a tap: the coefficients themselves, nothing sampled."""
    w = winograd(tile, kernel)
    for i in range(tile):
        for j in range(kernel):
            for x in range(w.size):
                total = sum(w.output[i][p] * w.filter[p][j] * w.input[p][x] for p in range(w.size))
                assert total == (x == i + j)


def test_f_2_3_is_winograds_own_up_to_signs() -> None:
    w = winograd(2, 3)
    assert floats(w.output).tolist() == [[1, 1, 1, 0], [0, 1, -1, 1]]
    assert np.abs(floats(w.input)).tolist() == [[1, 0, 1, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 1, 0, 1]]


@pytest.mark.parametrize(("tile", "kernel"), KINDS)
def test_opposite_points_share_their_work(tile: int, kernel: int) -> None:
    """What the kernels rely on: rows of B^T and columns of A^T in pairs, odd terms negated."""
    w = winograd(tile, kernel)
    signs = (-1) ** np.arange(w.size)
    for pair in range(w.pairs):
        a, b = 1 + 2 * pair, 2 + 2 * pair
        columns = floats(w.output)[:, [a, b]]
        assert (columns[:, 0] * signs[:tile] == columns[:, 1]).all()
        assert (floats(w.input)[a] * signs == floats(w.input)[b]).all()


@pytest.mark.parametrize(("tile", "kernel"), [(0, 3), (3, 0), (9, 3), (1, 1)])
def test_what_has_no_points_is_refused(tile: int, kernel: int) -> None:
    with pytest.raises(ValueError, match="points"):
        winograd(tile, kernel)
