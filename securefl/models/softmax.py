"""Softmax (multinomial logistic) regression in NumPy, for one client or for a whole cohort in one computation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["SoftmaxRegression"]

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SoftmaxRegression:
    """Parameters are one float32 vector: the weights, (features, classes) row by row, then a bias for each class.

    Every method takes parameters with any leading axes, (..., P), and samples with the same ones: many clients, each
    with a model of its own, at once.
    """

    features: int
    classes: int

    @property
    def size(self) -> int:
        """Number of parameters, P."""
        return (self.features + 1) * self.classes

    def init(self) -> Floats:
        """(P,) zeros: the loss is convex."""
        return np.zeros(self.size, np.float32)

    def logits(self, parameters: Floats, inputs: Floats) -> Floats:
        """inputs (..., b, features) -> (..., b, classes)."""
        weights, bias = self._parts(parameters)
        scores: Floats = inputs @ weights + bias[..., None, :]
        return scores

    def loss(self, parameters: Floats, inputs: Floats, labels: NDArray[np.integer]) -> Floats:
        """Mean cross entropy over the samples, (...,). labels: (..., b)."""
        scores = self.logits(parameters, inputs)
        scores -= scores.max(axis=-1, keepdims=True)
        chosen = np.take_along_axis(scores, labels[..., None], axis=-1)[..., 0]
        mean: Floats = (np.log(np.exp(scores).sum(axis=-1)) - chosen).mean(axis=-1)
        return mean

    def gradient(self, parameters: Floats, inputs: Floats, labels: NDArray[np.integer]) -> Floats:
        """Gradient of `loss`, (..., P)."""
        error = self.logits(parameters, inputs)
        error -= error.max(axis=-1, keepdims=True)
        np.exp(error, out=error)
        error /= error.sum(axis=-1, keepdims=True)
        np.put_along_axis(error, labels[..., None], np.take_along_axis(error, labels[..., None], -1) - 1, -1)
        error /= labels.shape[-1]
        out = np.empty((*error.shape[:-2], self.size), np.float32)
        weights, bias = self._parts(out)
        np.matmul(inputs.swapaxes(-1, -2), error, out=weights)
        bias[...] = error.sum(axis=-2)
        return out

    def descend(
        self,
        start: Floats,
        inputs: Floats,
        labels: NDArray[np.integer],
        rate: float,
        *,
        loss_scale: Floats | None = None,
        proximal: float = 0.0,
    ) -> Floats:
        """Local SGD of m clients from one model: (start - end) / rate, (m, P).

        start: (P,). inputs (m, steps, b, features) and labels (m, steps, b): the batch of each client at each step.
        loss_scale: (m,) factors of the clients' losses. proximal: mu of FedProx.
        """
        own = np.repeat(start[None], len(inputs), axis=0)
        for at in range(inputs.shape[1]):
            slope = self.gradient(own, inputs[:, at], labels[:, at])
            if loss_scale is not None:
                slope *= loss_scale[:, None]
            if proximal:
                slope += np.float32(proximal) * (own - start)
            slope *= np.float32(rate)
            own -= slope
        return (start - own) / np.float32(rate)

    def accuracy(self, parameters: Floats, inputs: Floats, labels: NDArray[np.integer]) -> float:
        """Share of samples, (b, features), whose label scores highest under one parameter vector, (P,)."""
        return float((self.logits(parameters, inputs).argmax(axis=-1) == labels).mean())

    def _parts(self, parameters: Floats) -> tuple[Floats, Floats]:
        """Views: weights (..., features, classes), bias (..., classes)."""
        cut = self.features * self.classes
        return parameters[..., :cut].reshape(*parameters.shape[:-1], self.features, self.classes), parameters[..., cut:]
