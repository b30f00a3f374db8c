"""Gradients where histories are short, padded or empty, and of the whole model, against one that is written slowly."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from slow_din import (
    CATEGORIES,
    CATEGORY,
    ITEMS,
    numeric_gradient,
    slow_attention,
    slow_loss,
    some_samples,
    some_weights,
    trained_on,
)

from securefl.models import DIN, TableSlice
from securefl.models.attention import attention
from securefl.models.batches import localize, pad, trainable
from securefl.models.descent import LocalWeights, loss_and_gradient
from securefl.models.embedding import LocalRows, sum_by_position
from securefl.models.layers import cross_entropy, dice, linear, masked_softmax, normalize, sigmoid
from securefl.models.network import shapes, views

CLOSE = {"rtol": 1e-6, "atol": 1e-9}
LAYERS = {
    "dense": (linear, [(3, 4), (4, 2), (2,)]),
    "sigmoid": (sigmoid, [(3, 4)]),
    "dice": (dice, [(3, 4), (4,)]),
    "normalisation": (normalize, [(3, 4), (4,), (4,)]),
}
HISTORIES = {
    "some padding": [[1, 1, 0], [1, 0, 0]],
    "padding inside": [[0, 1, 1], [1, 0, 1]],
    "no padding": [[1, 1, 1], [1, 1, 1]],
    "one item": [[1], [1]],
    "nothing but padding": [[0, 0], [1, 1]],
    "no items at all": [[], []],
}


def numbers(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng((seed, *shape)).normal(size=shape)


def masks(name: str) -> np.ndarray:
    return np.array(HISTORIES[name], bool)


def check_backward(forward: Callable[[], np.ndarray], inputs: list[np.ndarray], found: tuple, dy: np.ndarray) -> None:
    """Back's answer to dy is the gradient of the dot product of dy with what comes out."""
    assert len(found) == len(inputs)
    for x, dx in zip(inputs, found, strict=True):
        np.testing.assert_allclose(dx, numeric_gradient(lambda: float(np.vdot(dy, forward())), x), **CLOSE)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_layer_keeps_the_floating_type(name: str, dtype: type) -> None:
    layer, sizes = LAYERS[name]
    y, back = layer(*(numbers(*shape).astype(dtype) for shape in sizes))
    d = back(np.ones_like(y))
    assert {a.dtype for a in (y, *(d if isinstance(d, tuple) else (d,)))} == {np.dtype(dtype)}


@pytest.mark.parametrize("name", HISTORIES)
def test_softmax_sees_only_true_entries(name: str) -> None:
    mask = masks(name)
    scores = numbers(*mask.shape)
    y, back = masked_softmax(scores, mask)
    for row, chosen, share in zip(scores, mask, y, strict=True):
        np.testing.assert_allclose(share[chosen], np.exp(row[chosen]) / np.exp(row[chosen]).sum(), rtol=1e-12)
        assert (share[~chosen] == 0).all()
    dy = numbers(*mask.shape, seed=9)
    check_backward(lambda: masked_softmax(scores, mask)[0], [scores], (back(dy),), dy)


def test_nothing_overflows_at_either_end() -> None:
    """Warnings are errors here."""
    ends = np.array([-3e38, -1e4, 0, 1e4, 3e38], np.float32)
    assert sigmoid(ends)[0].tolist() == [0, 0, 0.5, 1, 1]
    assert masked_softmax(ends[None, 1:4], np.ones((1, 3), bool))[0].tolist() == [[0, 0, 1]]
    assert masked_softmax(ends[None], np.array([[1, 1, 0, 0, 0]], bool))[0].tolist() == [[0, 1, 0, 0, 0]]
    loss, gradient = cross_entropy(np.array([[1e4, -1e4]], np.float32), np.array([True]))
    assert loss == 2e4
    assert gradient.tolist() == [[1, -1]]


def attention_weights(e: int, a1: int = 4, a2: int = 3) -> dict[str, np.ndarray]:
    shapes = {
        "att1.w": (4 * e, a1),
        "att1.b": (a1,),
        "att2.w": (a1, a2),
        "att2.b": (a2,),
        "att3.w": (a2, 1),
        "att3.b": (1,),
    }
    return {name: numbers(*shape, seed=i) for i, (name, shape) in enumerate(shapes.items())}


@pytest.mark.parametrize("name", HISTORIES)
def test_attention_pools_as_the_paper_says(name: str) -> None:
    mask = masks(name)
    q, k, p = numbers(2, 3), numbers(*mask.shape, 3), attention_weights(3)
    for i, pooled in enumerate(attention(q, k, mask, p)[0]):
        np.testing.assert_allclose(pooled, slow_attention(p, q[i], list(k[i][mask[i]])), rtol=1e-10)


@pytest.mark.parametrize("name", HISTORIES)
def test_attention_goes_back_as_it_went_forward(name: str) -> None:
    mask = masks(name)
    q, k, p = numbers(2, 3), numbers(*mask.shape, 3), attention_weights(3)
    dy = numbers(2, 3, seed=9)
    dq, dk, dp = attention(q, k, mask, p)[1](dy)
    assert dp.keys() == p.keys()
    check_backward(lambda: attention(q, k, mask, p)[0], [q, k, *p.values()], (dq, dk, *(dp[n] for n in p)), dy)
    assert (dk[~mask] == 0).all()


def test_attention_does_not_look_at_padding() -> None:
    mask = masks("some padding")
    q, k, p = numbers(2, 3), numbers(2, 3, 3), attention_weights(3)
    other = np.where(mask[:, :, None], k, 7.0)
    assert (attention(q, k, mask, p)[0] == attention(q, other, mask, p)[0]).all()


@given(st.lists(st.integers(0, 6), min_size=1, max_size=30))
def test_gradients_of_a_row_add_up_wherever_it_was_looked_up(positions: list[int]) -> None:
    x = np.random.default_rng(len(positions)).integers(-9, 9, (len(positions), 2)).astype(float)
    used, sums = sum_by_position(np.array(positions), x)
    assert used.tolist() == sorted(set(positions))
    expected = np.zeros((7, 2))
    for position, row in zip(positions, x, strict=True):
        expected[position] += row
    assert (sums == expected[used]).all()


def test_looking_up_a_row_gives_item_then_category() -> None:
    rows = LocalRows(numbers(4, 2), numbers(2, 2, seed=2), np.array([1, 0, 1, 1]))
    found = rows.embed(np.array([[0, 3], [1, 0]]))
    assert found.shape == (2, 2, 4)
    assert found[0, 1].tolist() == [*rows.items[3], *rows.categories[1]]
    assert found[1, 0].tolist() == [*rows.items[1], *rows.categories[0]]


@pytest.mark.parametrize("seed", range(3))
def test_the_whole_gradient(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of dense parameters, item rows, category rows and user embedding, each coordinate, in a network cut thin."""
    monkeypatch.setattr("securefl.models.network.HIDDEN", (5, 4))
    monkeypatch.setattr("securefl.models.network.ATTENTION_HIDDEN", (4, 3))
    model = DIN(CATEGORY, CATEGORIES, width=2)
    assert model.dense_size < 300
    samples, whole = some_samples(seed, 6, 9), some_weights(model, seed)
    items, categories = TableSlice.whole(whole.items), TableSlice.whole(whole.categories)
    batch = pad(trainable(localize(samples, items, model.history)))
    weights = LocalWeights(whole.dense, LocalRows(items.rows, categories.rows, CATEGORY), whole.user)
    loss, gradient = loss_and_gradient(weights, batch)

    plain = trained_on(samples, np.arange(ITEMS), model.history)
    assert loss == pytest.approx(slow_loss(whole, plain), rel=1e-12)
    expected = [numeric_gradient(lambda: slow_loss(whole, plain), part) for part in whole.parts()]
    found = [np.zeros_like(part) for part in whole.parts()]
    found[0] = np.concatenate([gradient.dense[name].ravel() for name in shapes(model.width)])
    found[1][gradient.items[0]], found[2][gradient.categories[0]] = gradient.items[1], gradient.categories[1]
    found[3] = gradient.user
    for ours, slow in zip(found, expected, strict=True):
        assert np.abs(slow).max() > 1e-3
        np.testing.assert_allclose(ours, slow, rtol=1e-5, atol=1e-8)
    assert gradient.norm() == pytest.approx(np.sqrt(sum((slow**2).sum() for slow in expected)), rel=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_the_gradient_at_the_true_size_along_random_directions(seed: int) -> None:
    model = DIN(CATEGORY, CATEGORIES)
    samples, whole = some_samples(seed, 4, 9), some_weights(model, seed)
    batch = pad(trainable(localize(samples, TableSlice.whole(whole.items), model.history)))
    weights = LocalWeights(whole.dense, LocalRows(whole.items, whole.categories, CATEGORY), whole.user)
    _, gradient = loss_and_gradient(weights, batch)
    plain = trained_on(samples, np.arange(ITEMS), model.history)
    for name, view in views(whole.dense, model.width).items():
        direction, here = numbers(*view.shape, seed=seed), view.copy()
        ends = []
        for step in (1e-5, -1e-5):
            view[...] = here + step * direction
            ends.append(slow_loss(whole, plain))
        view[...] = here
        slope = (ends[0] - ends[1]) / 2e-5
        assert float(np.vdot(direction, gradient.dense[name])) == pytest.approx(slope, rel=1e-4, abs=1e-8), name
