"""Local training: SGD on a client's copy of the weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite, sqrt

import numpy as np
from numpy.typing import NDArray

from securefl.errors import ConfigurationError

from .batches import Batch, LocalSamples, pad
from .embedding import LocalRows, sum_by_position
from .layers import Floats, cross_entropy
from .network import forward, views


@dataclass(frozen=True)
class LocalWeights:
    """What a client trains, in place: ``dense`` (D,), its rows, and its private user embedding (d,)."""

    dense: NDArray[np.float32]
    rows: LocalRows
    user: NDArray[np.float32]

    def copy(self) -> LocalWeights:
        """Independent copies of all arrays."""
        return LocalWeights(self.dense.copy(), self.rows.copy(), self.user.copy())

    def finite(self) -> bool:
        """Whether no number is NaN or infinite."""
        parts = (self.dense, self.rows.items, self.rows.categories, self.user)
        return all(bool(np.isfinite(part).all()) for part in parts)


@dataclass(frozen=True)
class Gradient:
    """Gradient of a batch's mean loss: by parameter name, by (distinct row positions, rows), and of the user."""

    dense: dict[str, Floats]
    items: tuple[NDArray[np.int64], Floats]
    categories: tuple[NDArray[np.int64], Floats]
    user: Floats

    def norm(self) -> float:
        """Euclidean norm of all of it."""
        parts = (*self.dense.values(), self.items[1], self.categories[1], self.user)
        return sqrt(sum(float(np.vdot(part, part)) for part in parts))


def loss_and_gradient(weights: LocalWeights, batch: Batch) -> tuple[float, Gradient]:
    """Mean cross-entropy of a batch in nats, and its gradient."""
    rows, width = weights.rows, len(weights.user)
    users = np.broadcast_to(weights.user, (len(batch.targets), width))
    history = rows.embed(batch.history) * batch.mask[:, :, None]
    logits, back = forward(views(weights.dense, width), users, rows.embed(batch.targets), history, batch.mask)
    loss, d_logits = cross_entropy(logits, batch.labels)
    d_users, d_targets, d_history, d_dense = back(d_logits)
    positions = np.concatenate([batch.targets, batch.history[batch.mask]])
    used, d_rows = sum_by_position(positions, np.concatenate([d_targets, d_history[batch.mask]]))
    d_categories = sum_by_position(rows.category_of[used], d_rows[:, width:])
    return loss, Gradient(d_dense, (used, d_rows[:, :width]), d_categories, d_users.sum(axis=0))


@dataclass(frozen=True)
class Descent:
    """Plain SGD: ``rate`` for the dense parameters, ``embedding_rate`` times as much for rows and user.

    A gradient longer than ``gradient_norm`` is scaled down to it. A lone category is not trained: its gradient grows
    with the length of the history, and scaling it down would leave nothing to the items.
    """

    rate: float
    embedding_rate: float
    gradient_norm: float
    train_categories: bool

    def step(self, weights: LocalWeights, batch: Batch) -> float:
        """One step, in place; the loss before it. ConfigurationError when it is no longer finite."""
        loss, gradient = loss_and_gradient(weights, batch)
        if not self.train_categories:
            gradient.categories[1][...] = 0
        norm = gradient.norm()
        if not isfinite(loss + norm):
            raise self._diverged()
        rate = self.rate * self.gradient_norm / max(norm, self.gradient_norm)
        far = rate * self.embedding_rate
        for name, parameter in views(weights.dense, len(weights.user)).items():
            parameter -= rate * gradient.dense[name]
        for table, (used, d_rows) in (
            (weights.rows.items, gradient.items),
            (weights.rows.categories, gradient.categories),
        ):
            table[used] -= far * d_rows
        weights.user[...] -= far * gradient.user
        return loss

    def run(self, weights: LocalWeights, samples: LocalSamples, *, epochs: int, batch: int, seed: int) -> float:
        """Every step of local training, in place; the mean loss over the last epoch. Raises like `step`."""
        rng, loss = np.random.default_rng(seed), 0.0
        with np.errstate(over="ignore", invalid="ignore"):  # `step` looks at the result
            for _ in range(epochs):
                parts = list(_shuffled(samples, batch, rng))
                loss = sum(len(part) * self.step(weights, pad(part)) for part in parts) / len(samples)
        if not weights.finite():  # no step has looked at what the last one left
            raise self._diverged()
        return loss

    def _diverged(self) -> ConfigurationError:
        return ConfigurationError(f"local training diverged at learning rate {self.rate:g}; lower it")


def _shuffled(samples: LocalSamples, size: int, rng: np.random.Generator) -> Iterator[LocalSamples]:
    order = rng.permutation(len(samples))
    for first in range(0, len(order), size):
        yield samples.take(order[first : first + size])
