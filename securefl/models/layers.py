"""The layers of DIN as pure functions: ``y, back = layer(x, *weights)`` and ``dx, *dweights = back(dy)``.

Every function keeps the floating type it is given (float32 to train, float64 to check gradients).
Leading axes of ``x`` are batch axes; gradients of weights are summed over them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.floating[Any]]
Back1: TypeAlias = Callable[[Floats], Floats]
Back2: TypeAlias = Callable[[Floats], tuple[Floats, Floats]]
Back3: TypeAlias = Callable[[Floats], tuple[Floats, Floats, Floats]]

NORM_EPSILON = 1e-3
"""Added to the variance by the BatchNorm of the released code (TensorFlow's default)."""


def _sum_leading(x: Floats) -> Floats:
    total: Floats = x.sum(axis=tuple(range(x.ndim - 1)))
    return total


def linear(x: Floats, w: Floats, b: Floats) -> tuple[Floats, Back3]:
    """``x @ w + b`` for x (..., in), w (in, out), b (out,); back gives (dx, dw, db)."""

    def back(dy: Floats) -> tuple[Floats, Floats, Floats]:
        dw = x.reshape(-1, x.shape[-1]).T @ dy.reshape(-1, dy.shape[-1])
        return dy @ w.T, dw, _sum_leading(dy)

    return x @ w + b, back


def sigmoid(x: Floats) -> tuple[Floats, Back1]:
    """Logistic function of x (...), by tanh: no overflow at either end."""
    y: Floats = 0.5 * np.tanh(0.5 * x) + 0.5
    return y, lambda dy: dy * y * (1 - y)


def dice(x: Floats, alpha: Floats) -> tuple[Floats, Back2]:
    """Dice (Zhou et al. 2018, section 5.3) for x (..., n), alpha (n,): ``p x + (1 - p) alpha x``, p = sigmoid(x).

    The statistics inside p are fixed to mean 0 and variance 1: those of a client's batch of four would be noise.
    """
    p, _ = sigmoid(x)
    gate = alpha + (1 - alpha) * p

    def back(dy: Floats) -> tuple[Floats, Floats]:
        slope = gate + (1 - alpha) * x * p * (1 - p)
        return dy * slope, _sum_leading(dy * x * (1 - p))

    return x * gate, back


def normalize(x: Floats, gamma: Floats, beta: Floats) -> tuple[Floats, Back3]:
    """BatchNorm with fixed statistics, mean 0 and variance 1, as the released code runs it.

    Back gives (dx, dgamma, dbeta).
    """
    scaled = x * x.dtype.type(1 / np.sqrt(1 + NORM_EPSILON))

    def back(dy: Floats) -> tuple[Floats, Floats, Floats]:
        dx = dy * gamma * x.dtype.type(1 / np.sqrt(1 + NORM_EPSILON))
        return dx, _sum_leading(dy * scaled), _sum_leading(dy)

    return scaled * gamma + beta, back


def masked_softmax(scores: Floats, mask: NDArray[np.bool_]) -> tuple[Floats, Back1]:
    """Softmax over the last axis where ``mask`` is true, 0 elsewhere; a row without any true entry is all 0."""
    low = np.finfo(scores.dtype).min
    peak = np.max(scores, axis=-1, where=mask, initial=low, keepdims=True)
    weights: Floats = np.where(mask, np.exp(np.where(mask, scores - peak, 0)), 0)
    y = weights / np.maximum(weights.sum(axis=-1, keepdims=True), 1)  # the peak itself adds 1
    return y, lambda dy: y * (dy - (dy * y).sum(axis=-1, keepdims=True))


def cross_entropy(logits: Floats, labels: NDArray[np.bool_]) -> tuple[float, Floats]:
    """Mean softmax cross-entropy of logits (B, 2) against labels (B,), in nats, and its gradient (B, 2)."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    batch, column = np.arange(len(labels)), labels.astype(np.intp)
    gradient: Floats = np.exp(log_p)
    gradient[batch, column] -= 1
    return -float(log_p[batch, column].mean()), gradient / len(labels)
