"""The layers of DIN as pure functions: ``y, back = layer(x, *weights)`` and ``dx, *dweights = back(dy)``.

Every function keeps the floating type it is given (float32 to train, float64 to check gradients).
The samples of ``x`` (..., n, in) run along its last axis but one. Axes before that belong to models of their own, and
the weights have them too: one client has none, a cohort has one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.floating[Any]]
Back1: TypeAlias = Callable[[Floats], Floats]
Back2: TypeAlias = Callable[[Floats], tuple[Floats, Floats]]
Back3: TypeAlias = Callable[[Floats], tuple[Floats, Floats, Floats]]
Back: TypeAlias = Callable[[Floats], tuple[Floats, Floats, Floats, dict[str, Floats]]]
"""Of a network: gradients of user, target and history embeddings, and of the dense parameters by name."""

NORM_EPSILON = 1e-3
"""Added to the variance by the BatchNorm of the released code (TensorFlow's default)."""


def split(dense: Floats, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Floats]:
    """Parameters by name, as views into ``dense`` (..., D): one flat vector, or one for each of a few models."""
    ends = np.cumsum([prod(shape) for shape in shapes.values()])
    parts, models = np.split(dense, ends[:-1], axis=-1), dense.shape[:-1]
    return {name: part.reshape(*models, *shape) for part, (name, shape) in zip(parts, shapes.items(), strict=True)}


def _over_samples(x: Floats) -> Floats:
    total: Floats = x.sum(axis=-2)
    return total


def linear(x: Floats, w: Floats, b: Floats) -> tuple[Floats, Back3]:
    """``x @ w + b`` for x (..., n, in), w (..., in, out), b (..., out); back gives (dx, dw, db)."""

    def back(dy: Floats) -> tuple[Floats, Floats, Floats]:
        return dy @ w.swapaxes(-1, -2), x.swapaxes(-1, -2) @ dy, _over_samples(dy)

    return x @ w + b[..., None, :], back


def sigmoid(x: Floats) -> tuple[Floats, Back1]:
    """Logistic function of x (...), by tanh: no overflow at either end."""
    y: Floats = 0.5 * np.tanh(0.5 * x) + 0.5
    return y, lambda dy: dy * y * (1 - y)


def dice(x: Floats, alpha: Floats) -> tuple[Floats, Back2]:
    """Dice (Zhou et al. 2018, section 5.3): ``p x + (1 - p) alpha x``, p = sigmoid(x); x (..., n, m), alpha (..., m).

    The statistics inside p are fixed to mean 0 and variance 1: those of a client's batch of four would be noise.
    """
    p, _ = sigmoid(x)
    alpha = alpha[..., None, :]
    gate = alpha + (1 - alpha) * p

    def back(dy: Floats) -> tuple[Floats, Floats]:
        slope = gate + (1 - alpha) * x * p * (1 - p)
        return dy * slope, _over_samples(dy * x * (1 - p))

    return x * gate, back


def normalize(x: Floats, gamma: Floats, beta: Floats) -> tuple[Floats, Back3]:
    """BatchNorm with fixed statistics, mean 0 and variance 1, as the released code runs it.

    gamma, beta: (..., m) for x (..., n, m). Back gives (dx, dgamma, dbeta).
    """
    gamma, beta = gamma[..., None, :], beta[..., None, :]
    scaled = x * x.dtype.type(1 / np.sqrt(1 + NORM_EPSILON))

    def back(dy: Floats) -> tuple[Floats, Floats, Floats]:
        dx = dy * gamma * x.dtype.type(1 / np.sqrt(1 + NORM_EPSILON))
        return dx, _over_samples(dy * scaled), _over_samples(dy)

    return scaled * gamma + beta, back


def masked_softmax(scores: Floats, mask: NDArray[np.bool_]) -> tuple[Floats, Back1]:
    """Softmax over the last axis where ``mask`` is true, 0 elsewhere; a row without any true entry is all 0."""
    low = np.finfo(scores.dtype).min
    peak = np.max(scores, axis=-1, where=mask, initial=low, keepdims=True)
    weights: Floats = np.where(mask, np.exp(np.where(mask, scores - peak, 0)), 0)
    y = weights / np.maximum(weights.sum(axis=-1, keepdims=True), 1)  # the peak itself adds 1
    return y, lambda dy: y * (dy - (dy * y).sum(axis=-1, keepdims=True))


def cross_entropy(
    logits: Floats, labels: NDArray[np.bool_], real: NDArray[np.bool_] | None = None
) -> tuple[Floats, Floats]:
    """Mean softmax cross-entropy (...,) of logits (..., B, 2) against labels (..., B), in nats, and its gradient.

    Where ``real`` (..., B) is false a sample is padding and counts nothing.
    """
    shifted = logits - logits.max(axis=-1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    chosen = np.stack([~labels, labels], axis=-1)
    real = np.ones(labels.shape, np.bool_) if real is None else real
    share = (real / np.maximum(real.sum(axis=-1, keepdims=True), 1)).astype(logits.dtype)
    loss: Floats = -(np.where(chosen, log_p, 0).sum(axis=-1) * share).sum(axis=-1)
    return loss, (np.exp(log_p) - chosen) * share[..., None]
