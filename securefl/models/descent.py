"""Local training: SGD on clients' copies of the weights, for one client or for a few at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from securefl.errors import ConfigurationError

from . import network as din
from .batches import Batch, LocalSamples, pad
from .embedding import LocalRows, sum_by_position
from .layers import Back, Floats, cross_entropy, split


class Network(Protocol):
    """A model between its embeddings and its two logits. `network` (DIN's) and `linear` are such modules."""

    def shapes(self, width: int) -> dict[str, tuple[int, ...]]:
        """Name and shape of every dense parameter, in the order of the flat vector."""

    def forward(
        self, p: dict[str, Floats], user: Floats, target: Floats, history: Floats, mask: NDArray[np.bool_]
    ) -> tuple[Floats, Back]:
        """Logits (..., B, 2): see `network.forward`."""


@dataclass(frozen=True)
class LocalWeights:
    """What clients train, in place: ``dense`` (D,), their rows, and the private user embedding (d,).

    m clients have ``dense`` (m, D), ``user`` (m, d), and rows that tell their owners.
    """

    dense: NDArray[np.float32]
    rows: LocalRows
    user: NDArray[np.float32]

    def first(self, clients: int) -> LocalWeights:
        """Views of the weights of the first few clients."""
        return LocalWeights(self.dense[:clients], self.rows, self.user[:clients])

    def finite(self) -> bool:
        """Whether no number is NaN or infinite."""
        parts = (self.dense, self.rows.items, self.rows.categories, self.user)
        return all(bool(np.isfinite(part).all()) for part in parts)


class RowGradient(NamedTuple):
    """Gradient of some rows of a table: distinct positions (U,), their rows (U, d), and whose each is, (U,)."""

    positions: NDArray[np.int64]
    rows: Floats
    owners: NDArray[np.int64]


@dataclass(frozen=True)
class Gradient:
    """Gradient of each client's mean loss: by parameter name, of rows, and of the user."""

    dense: dict[str, Floats]
    items: RowGradient
    categories: RowGradient
    user: Floats

    def norm(self) -> NDArray[np.float64]:
        """Euclidean norm of all of it, (...,): one for each client."""
        clients = self.user.shape[:-1]
        flat = (part.reshape(*clients, -1) for part in (*self.dense.values(), self.user))
        squares = sum((np.einsum("...i,...i->...", part, part) for part in flat), np.zeros(clients))
        for table in (self.items, self.categories):
            of_rows = np.einsum("ij,ij->i", table.rows, table.rows)
            squares = squares + np.bincount(table.owners, of_rows, minlength=squares.size).reshape(clients)
        return np.asarray(np.sqrt(squares))


def loss_and_gradient(weights: LocalWeights, batch: Batch, network: Network = din) -> tuple[Floats, Gradient]:
    """Mean cross-entropy of a batch in nats, (...,): one for each client; and its gradient."""
    rows, width = weights.rows, weights.user.shape[-1]
    users = np.broadcast_to(weights.user[..., None, :], (*batch.targets.shape, width))
    history = rows.embed(batch.history) * batch.mask[..., None]
    parameters = split(weights.dense, network.shapes(width))
    logits, back = network.forward(parameters, users, rows.embed(batch.targets), history, batch.mask)
    loss, d_logits = cross_entropy(logits, batch.labels, batch.real)
    d_users, d_targets, d_history, d_dense = back(d_logits)
    positions = np.concatenate([batch.targets[batch.real], batch.history[batch.mask]])
    used, d_rows = sum_by_position(positions, np.concatenate([d_targets[batch.real], d_history[batch.mask]]))
    in_categories, d_categories = sum_by_position(rows.category_of[used], d_rows[:, width:])
    items = RowGradient(used, d_rows[:, :width], _owners(rows.item_owner, used))
    categories = RowGradient(in_categories, d_categories, _owners(rows.category_owner, in_categories))
    return loss, Gradient(d_dense, items, categories, d_users.sum(axis=-2))


def _owners(owner: NDArray[np.int64] | None, positions: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.zeros_like(positions) if owner is None else owner[positions]


@dataclass(frozen=True)
class Descent:
    """Plain SGD: ``rate`` for the dense parameters, ``embedding_rate`` times as much for rows and user.

    A gradient longer than ``gradient_norm`` is scaled down to it. A lone category is not trained: its gradient grows
    with the length of the history, and scaling it down would leave nothing to the items. After each step ``proximal``,
    FedProx's mu, pulls what is shared back to where it began.
    """

    rate: float
    embedding_rate: float
    gradient_norm: float
    train_categories: bool
    network: Network = din
    proximal: float = 0.0

    def step(self, weights: LocalWeights, batch: Batch) -> Floats:
        """One step, in place; the losses before it. ConfigurationError when one is no longer finite."""
        loss, gradient = loss_and_gradient(weights, batch, self.network)
        if not self.train_categories:
            gradient.categories.rows[...] = 0
        norm = gradient.norm()
        if not np.isfinite(loss + norm).all():
            raise self._diverged()
        rate = (self.rate * self.gradient_norm / np.maximum(norm, self.gradient_norm)).astype(loss.dtype)
        far = rate * loss.dtype.type(self.embedding_rate)
        for name, parameter in split(weights.dense, self.network.shapes(weights.user.shape[-1])).items():
            parameter -= _spread(rate, parameter) * gradient.dense[name]
        for table, d in ((weights.rows.items, gradient.items), (weights.rows.categories, gradient.categories)):
            table[d.positions] -= far.reshape(-1)[d.owners, None] * d.rows
        weights.user[...] -= far[..., None] * gradient.user
        return loss

    def pull(self, weights: LocalWeights, start: LocalWeights) -> None:
        """The exact step of (mu / 2) |w - start|^2, in place: w becomes (w + r mu start) / (1 + r mu) at its rate r.

        Implicit, as the proximal operator is: an explicit step along mu (w - start) would explode at the rates of rows.
        """
        clients, far = len(weights.dense), self.rate * self.embedding_rate
        _pull(weights.dense, start.dense[:clients], self.rate * self.proximal)
        rows, from_rows = weights.rows, start.rows
        for table, origin, owner in (
            (rows.items, from_rows.items, rows.item_owner),
            (rows.categories, from_rows.categories, rows.category_owner),
        ):
            active = slice(None) if owner is None else owner < clients
            moved = table[active]
            _pull(moved, origin[active], far * self.proximal)
            table[active] = moved

    def run(
        self,
        weights: LocalWeights,
        samples: LocalSamples,
        sizes: Sequence[int],
        *,
        epochs: int,
        batch: int,
        seeds: Sequence[int],
    ) -> NDArray[np.float64]:
        """Every step of local training of m clients, in place; (m,) mean losses over the last epoch.

        ``sizes``: samples of each client, not increasing. A seed shuffles a client's samples. Raises like `step`.
        """
        rngs, losses = [np.random.default_rng(seed) for seed in seeds], np.zeros(len(sizes))
        start = deepcopy(weights) if self.proximal else None
        with np.errstate(over="ignore", invalid="ignore"):  # `step` looks at the result
            for _ in range(epochs):
                losses[...] = 0
                for places in shuffled(sizes, batch, rngs):
                    part = pad(samples, places)
                    active = weights.first(len(places))
                    losses[: len(places)] += part.real.sum(axis=1) * self.step(active, part)
                    if start is not None:
                        self.pull(active, start)
        if not weights.finite():  # no step has looked at what the last one left
            raise self._diverged()
        mean: NDArray[np.float64] = losses / np.array(sizes)
        return mean

    def _diverged(self) -> ConfigurationError:
        return ConfigurationError(f"local training diverged at learning rate {self.rate:g}; lower it")


def _pull(values: Floats, origin: Floats, weight: float) -> None:
    values -= np.float32(weight / (1 + weight)) * (values - origin)


def _spread(rate: Floats, parameter: NDArray[np.float32]) -> Floats:
    """A rate for each client, in the shape of a parameter that each client has."""
    return rate.reshape(*rate.shape, *(1,) * (parameter.ndim - rate.ndim))


def shuffled(sizes: Sequence[int], batch: int, rngs: Sequence[Any]) -> Iterator[NDArray[np.int64]]:
    """For each step: places of samples (clients that still have some, at most ``batch``), -1 where there is none."""
    first, steps = np.cumsum([0, *sizes]), -(-max(sizes) // batch)
    places = np.full((len(sizes), steps * batch), -1)
    for own, at, size, rng in zip(places, first[:-1], sizes, rngs, strict=True):
        own[:size] = at + rng.permutation(size)
    for step in np.split(places, steps, axis=1):
        active = step[step[:, 0] >= 0]
        yield active[:, (active >= 0).any(axis=0)]
