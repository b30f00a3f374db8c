"""Updates for rounds with noise stay in the ball through every rounding, and those inside are left as they are."""

from __future__ import annotations

from math import sqrt

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

import psu
from securefl.federation.clipping import clipped, equally
from securefl.models import LocalUpdate
from securefl.models.interface import RowUpdate
from securefl.submodel import Quantization, SubmodelPlan, Table, UpdateNoise, quantize

UNION = psu.UnionPlan("bitmap", 50, 6, 16, cells=50, bits=32, hashes=1).to_bytes()
ROWS, DENSE = Quantization(12, 0.1, 1), Quantization(10, 0.5, 1)


def plan(radius: int) -> SubmodelPlan:
    tables = (Table("items", 50, 3),)
    return SubmodelPlan(UNION, ("1", "0", "1", "0"), tables, 40, 1, 32, ROWS, DENSE, (), UpdateNoise(radius, 1))


def update(seed: int, size: float) -> LocalUpdate:
    rng = np.random.default_rng(seed)
    rows = RowUpdate(np.arange(7), (size * rng.standard_normal((7, 3))).astype(np.float32), np.arange(1, 8))
    return LocalUpdate((size * rng.standard_normal(40)).astype(np.float32), {"items": rows}, 9, 0.5, np.ones(3))


def integers(one: LocalUpdate, rng: object) -> np.ndarray:
    whole, weights = equally(one)
    dense = quantize(one.dense[None, :], np.array([whole]), DENSE, rng)  # type: ignore[arg-type]  # bytes by number
    rows = quantize(one.rows["items"].deltas, weights["items"], ROWS, rng)  # type: ignore[arg-type]
    assert dense[0, -1] == 1
    assert (rows[:, -1] == 1).all()
    return np.concatenate([dense[0, :-1], rows[:, :-1].ravel()])


@given(st.integers(0, 99), st.floats(1e-4, 1e3), st.integers(1, 5000))
def test_no_rounding_leaves_the_ball(seed: int, size: float, radius: int) -> None:
    inside = clipped(update(seed, size), plan(radius))
    for draw in range(3):
        values = integers(inside, np.random.default_rng(draw).bytes)
        assert int((values**2).sum()) <= radius**2


@given(st.integers(0, 99), st.integers(200, 5000))
def test_a_small_update_is_left_alone_and_a_large_one_keeps_its_direction(seed: int, radius: int) -> None:
    small = update(seed, 1e-4)
    assert clipped(small, plan(5000)) is small
    large = update(seed, 10.0)
    cut = clipped(large, plan(radius))
    ratio = cut.dense / large.dense
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-5)
    np.testing.assert_allclose(cut.rows["items"].deltas / large.rows["items"].deltas, ratio[0], rtol=1e-5)
    steps = np.concatenate(
        [cut.dense / DENSE.clip * DENSE.levels, cut.rows["items"].deltas.ravel() / 0.1 * ROWS.levels]
    )
    assert radius - sqrt(61) - 2 < np.linalg.norm(steps) < radius - sqrt(61)
    assert cut.user_embedding is large.user_embedding
    assert (cut.samples, cut.loss) == (large.samples, large.loss)


def test_a_ball_too_small_for_rounding_leaves_zero() -> None:
    values = integers(clipped(update(1, 10.0), plan(7)), np.random.default_rng(0).bytes)
    assert not values.any()


def test_who_did_not_train_counts_as_all() -> None:
    nothing = LocalUpdate(np.zeros(40, np.float32), {}, 0, 0.0, np.ones(3))
    assert equally(nothing) == (1, {})


def test_without_noise_nothing_is_cut() -> None:
    large = update(1, 10.0)
    assert clipped(large, replace(plan(7), noise=None)) is large
