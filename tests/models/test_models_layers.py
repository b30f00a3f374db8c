"""Every layer's backward pass against central differences in float64, and forward passes against plain formulas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from securefl.models.attention import attention
from securefl.models.layers import cross_entropy, dice, linear, masked_softmax, normalize, sigmoid

Array = NDArray[np.float64]


def slope(f: Callable[[], float], x: Array, step: float = 1e-6) -> Array:
    """Derivative of f by every entry of x, which f reads."""
    result = np.empty_like(x)
    for at in np.ndindex(x.shape):
        kept = x[at]
        x[at] = kept + step
        above = f()
        x[at] = kept - step
        result[at] = (above - f()) / (2 * step)
        x[at] = kept
    return result


def check(layer: Callable[..., Any], *inputs: Array, outputs: tuple[int, ...]) -> None:
    """The gradients of <layer(inputs), R> for a random R are what differences say."""
    weighting = np.random.default_rng(1).normal(size=outputs)
    y, back = layer(*inputs)
    assert y.shape == outputs
    gradients = back(weighting)
    for x, gradient in zip(inputs, gradients if isinstance(gradients, tuple) else (gradients,), strict=True):
        np.testing.assert_allclose(gradient, slope(lambda: float((layer(*inputs)[0] * weighting).sum()), x), atol=1e-7)


@pytest.fixture
def normal() -> Callable[..., Array]:
    rng = np.random.default_rng(0)
    return lambda *shape: rng.normal(size=shape)


def test_linear(normal: Callable[..., Array]) -> None:
    check(linear, normal(3, 2, 5), normal(5, 4), normal(4), outputs=(3, 2, 4))


def test_sigmoid(normal: Callable[..., Array]) -> None:
    check(sigmoid, 3 * normal(4, 3), outputs=(4, 3))
    y, _ = sigmoid(np.array([-1e4, 0.0, 1e4]))
    assert y.tolist() == [0.0, 0.5, 1.0]


def test_dice(normal: Callable[..., Array]) -> None:
    check(dice, normal(4, 3), normal(3), outputs=(4, 3))
    x, alpha = normal(4, 3), normal(3)
    p = 1 / (1 + np.exp(-x))
    np.testing.assert_allclose(dice(x, alpha)[0], alpha * (1 - p) * x + p * x)


def test_normalize_has_fixed_statistics(normal: Callable[..., Array]) -> None:
    check(normalize, normal(4, 3), normal(3), normal(3), outputs=(4, 3))
    np.testing.assert_allclose(normalize(np.full((1, 2), 7.0), np.ones(2), np.zeros(2))[0], 7 / np.sqrt(1.001))


def test_masked_softmax(normal: Callable[..., Array]) -> None:
    mask = np.array([[True, True, False], [True, False, False], [False, False, False]])
    check(lambda x: masked_softmax(x, mask), normal(3, 3), outputs=(3, 3))
    y, _ = masked_softmax(np.array([[1e30, 0.0, 5e30], [-1e30, 1.0, 1.0], [1.0, 2.0, 3.0]]), mask)
    assert y.tolist() == [[1, 0, 0], [1, 0, 0], [0, 0, 0]]
    assert masked_softmax(np.empty((2, 0)), np.empty((2, 0), bool))[0].shape == (2, 0)


def test_cross_entropy(normal: Callable[..., Array]) -> None:
    logits, labels = normal(5, 2), np.array([True, False, True, True, False])
    loss, gradient = cross_entropy(logits, labels)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert loss == pytest.approx(-np.mean(np.log(np.where(labels, p[:, 1], p[:, 0]))))
    np.testing.assert_allclose(gradient, slope(lambda: cross_entropy(logits, labels)[0], logits), atol=1e-8)
    assert cross_entropy(np.array([[1e4, -1e4]]), np.array([False]))[0] == 0


def attention_inputs(normal: Callable[..., Array], width: int = 3) -> tuple[Array, Array, NDArray[np.bool_], Any]:
    mask = np.array([[True, True, True, True], [True, True, False, False]])
    p = {"att1.w": normal(4 * width, 6), "att1.b": normal(6), "att2.w": normal(6, 5), "att2.b": normal(5)}
    p |= {"att3.w": normal(5, 1), "att3.b": normal(1)}
    return normal(2, width), normal(2, 4, width) * mask[:, :, None], mask, p


def test_attention_is_the_plain_formula(normal: Callable[..., Array]) -> None:
    q, k, mask, p = attention_inputs(normal)
    pooled, _ = attention(q, k, mask, p)
    for b in range(2):
        keys = k[b, mask[b]]
        query = np.broadcast_to(q[b], keys.shape)
        hidden = np.concatenate([query, keys, query - keys, query * keys], axis=1)
        for layer in ("att1", "att2"):
            hidden = 1 / (1 + np.exp(-(hidden @ p[f"{layer}.w"] + p[f"{layer}.b"])))
        scores = np.exp((hidden @ p["att3.w"] + p["att3.b"])[:, 0] / np.sqrt(q.shape[1]))
        np.testing.assert_allclose(pooled[b], scores / scores.sum() @ keys)


def test_attention_gradients(normal: Callable[..., Array]) -> None:
    q, k, mask, p = attention_inputs(normal)
    weighting = normal(2, 3)

    def value() -> float:
        return float((attention(q, k, mask, p)[0] * weighting).sum())

    dq, dk, dp = attention(q, k, mask, p)[1](weighting)
    np.testing.assert_allclose(dq, slope(value, q), atol=1e-7)
    np.testing.assert_allclose(dk[mask], slope(value, k)[mask], atol=1e-7)
    for name, weights in p.items():
        np.testing.assert_allclose(dp[name], slope(value, weights), atol=1e-7, err_msg=name)
