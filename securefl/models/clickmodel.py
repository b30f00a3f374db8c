"""What click models have in common: rows of items and of their categories, a private user embedding, and local SGD.

A model brings its network, a module of two functions: `shapes` of the dense parameters, and `forward`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, prod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from securefl.errors import ConfigurationError

from .batches import LocalSamples, by_length, concatenate, localize, pad, trainable
from .descent import Descent, LocalWeights, Network
from .embedding import Involved, LocalRows, reindex
from .interface import ClientPart, LocalUpdate, RowUpdate, SamplesLike, TableSlice, TableSpec, Weights
from .layers import Floats, sigmoid, split

PREDICT_BATCH = 256
TOGETHER = 16
"""Clients of a cohort in one computation: their dense parameters still fit a cache."""


@dataclass(frozen=True, eq=False)
class ClickModel(ABC):
    """A network over embeddings that a client trains on the rows of its own items.

    ``category`` int64 (items,) is the public map from item to category, ``categories`` how many there are.
    """

    category: NDArray[np.int64]
    categories: int
    width: int = 18
    """d: numbers in a row, and in a user embedding."""
    history: int = 100
    """At most so many items of a history are looked at, the latest ones (Niu et al. 2019, section 5)."""
    embedding_rate: float = 100.0
    """Rows and user embeddings step this many times farther than dense parameters: few samples move them."""
    gradient_norm: float = 1.0
    """The gradient of a step is scaled down to this Euclidean norm (0.1 and 5 in the released code)."""
    proximal: float = 0.0
    """FedProx's mu: how strongly each step pulls dense parameters and rows back to where local training began."""

    network: ClassVar[Network]
    deviations: ClassVar[tuple[float, float]]
    """Fresh item and category rows come from normal distributions of these deviations."""

    def __post_init__(self) -> None:
        if self.category.ndim != 1 or self.category.dtype.kind != "i":
            raise ConfigurationError("`category` must be a one-dimensional array of integers, one per item")
        if not 0 <= self.category.min(initial=0) <= self.category.max(initial=0) < self.categories:
            raise ConfigurationError(f"`category` must lie in 0..{self.categories - 1}; raise `categories`")
        for name in ("width", "history", "embedding_rate", "gradient_norm"):
            if not (isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise ConfigurationError(f"`{name}` is {getattr(self, name)}; it must be above 0")
        if not (isfinite(self.proximal) and self.proximal >= 0):
            raise ConfigurationError(f"`proximal` is {self.proximal}; it must be 0 or more")

    @property
    def tables(self) -> tuple[TableSpec, TableSpec]:
        """Items and categories, each ``width`` wide."""
        items = TableSpec("items", len(self.category), self.width)
        return items, TableSpec("categories", self.categories, self.width)

    @property
    def maps(self) -> dict[str, NDArray[np.int64]]:
        """The row of `categories` of each item."""
        return {"categories": self.category}

    @property
    def dense_size(self) -> int:
        """D."""
        return sum(map(prod, self.network.shapes(self.width).values()))

    def init(self, rng_seed: int) -> Weights:
        """Fresh shared weights, the same for the same seed: every prediction starts at 1/2, the AUC at exactly 0.5.

        A lone category is 0 for good: it could only count a history, and drowns its contents.
        """
        rng = np.random.default_rng(rng_seed)
        dense = np.zeros(self.dense_size, np.float32)
        self._fill(split(dense, self.network.shapes(self.width)), rng)
        items, categories = self.deviations
        deviations = (items, categories if self.categories > 1 else 0.0)
        tables = {
            table.name: rng.standard_normal((table.rows, table.width), np.float32) * np.float32(deviation)
            for table, deviation in zip(self.tables, deviations, strict=True)
        }
        return Weights(dense, tables)

    @abstractmethod
    def _fill(self, parameters: dict[str, Floats], rng: np.random.Generator) -> None:
        """Give the dense parameters, all 0, their first values."""

    def init_user(self) -> NDArray[np.float32]:
        """The private embedding (d,) a client starts from: 0, an average user."""
        return np.zeros(self.width, np.float32)

    def rows_of(self, items: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
        """The item rows and, through the public map, the category rows of a set of items: sorted, distinct."""
        items = np.unique(items)
        return {"items": items, "categories": np.unique(self.category[items])}

    def train_local(
        self,
        dense: NDArray[np.float32],
        tables_sub: dict[str, TableSlice],
        samples: SamplesLike,
        user_embedding: NDArray[np.float32],
        *,
        epochs: int,
        batch: int,
        learning_rate: float,
        seed: int,
    ) -> LocalUpdate:
        """SGD on copies of ``dense`` (D,) and of the claimed rows; ``seed`` shuffles the samples into batches.

        A sample trains if its target is claimed and at least one item of its history is (Niu et al. 2019); unclaimed
        history items are left out. So a user's samples before the first click never train, and the attention always
        has something to attend to. Claimed rows of items the client does not hold are in no sample: they stay as
        they are and out of the result. Raises ConfigurationError for a bad setting, and when training diverges.
        """
        part = ClientPart(tables_sub, samples, user_embedding, seed)
        return self.train_cohort(dense, [part], epochs=epochs, batch=batch, learning_rate=learning_rate)[0]

    def train_cohort(
        self,
        dense: NDArray[np.float32],
        clients: Sequence[ClientPart],
        *,
        epochs: int,
        batch: int,
        learning_rate: float,
    ) -> list[LocalUpdate]:
        """`train_local` of many clients from one ``dense`` (D,), `TOGETHER` at a time; the same but for rounding."""
        check_plan(epochs, batch, learning_rate)
        descent = Descent(
            learning_rate, self.embedding_rate, self.gradient_norm, self.categories > 1, self.network, self.proximal
        )
        begun = {at: one for at, client in enumerate(clients) if (one := self._begin(dense, client)) is not None}
        updates = [self._no_update(client.user_embedding) for client in clients]
        busiest = sorted(begun, key=lambda at: -len(begun[at].samples))
        for first in range(0, len(busiest), TOGETHER):
            some = busiest[first : first + TOGETHER]
            trained = _train([begun[at] for at in some], dense, descent, epochs, batch)
            for at, update in zip(some, trained, strict=True):
                updates[at] = update
        return updates

    def predict(
        self,
        dense: NDArray[np.float32],
        tables_sub: dict[str, TableSlice],
        samples: SamplesLike,
        user_embedding: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Probability of a click for every sample, (n,); ``user_embedding`` is (d,), or (n, d): one per sample.

        Every target must be in ``tables_sub``; history items that are not are left out, and a history may be empty.
        """
        rows = self._rows(dense, tables_sub)
        local = localize(samples, tables_sub["items"], self.history)
        if (local.targets < 0).any():
            raise ConfigurationError("a target has no row in the submodel; predict only on items that were claimed")
        parameters = split(dense, self.network.shapes(self.width))
        users = np.broadcast_to(user_embedding, (len(local), self.width))
        chance = np.empty(len(local), np.float32)
        for places, batch in by_length(local, PREDICT_BATCH):
            history = rows.embed(batch.history) * batch.mask[:, :, None]
            logits, _ = self.network.forward(parameters, users[places], rows.embed(batch.targets), history, batch.mask)
            chance[places] = sigmoid(logits[:, 1] - logits[:, 0])[0]
        return chance

    def _begin(self, dense: NDArray[np.float32], client: ClientPart) -> _Begun | None:
        """What of a client's part its samples involve; None if no sample trains."""
        rows, items = self._rows(dense, client.tables), client.tables["items"]
        kept = trainable(localize(client.samples, items, self.history))
        if len(kept) == 0:
            return None
        involved = Involved.in_batch(pad(kept))
        used, counts = involved.counts(np.arange(len(items.indices)))
        used_categories, category_counts = involved.counts(rows.category_of)
        category_ids = client.tables["categories"].indices[used_categories]
        return _Begun(
            reindex(kept, used, len(items.indices)),
            rows.only(used, used_categories),
            ((items.indices[used], counts), (category_ids, category_counts)),
            client,
        )

    def _rows(self, dense: NDArray[np.float32], tables_sub: dict[str, TableSlice]) -> LocalRows:
        """The submodel's rows, once their shapes are right."""
        if dense.shape != (self.dense_size,):
            raise ConfigurationError(f"dense parameters have shape {dense.shape}, not ({self.dense_size},)")
        for table in self.tables:
            part = tables_sub[table.name]
            inside = 0 <= part.indices.min(initial=0) <= part.indices.max(initial=0) < table.rows
            if part.rows.shape[1] != table.width or not inside:
                raise ConfigurationError(
                    f"rows of table {table.name!r} must be {table.width} wide, their indices below {table.rows}"
                )
        return LocalRows.of(tables_sub, self.category)

    def _no_update(self, user_embedding: NDArray[np.float32]) -> LocalUpdate:
        nothing = RowUpdate(np.zeros(0, np.int64), np.zeros((0, self.width), np.float32), np.zeros(0, np.int64))
        rows = {table.name: nothing for table in self.tables}
        return LocalUpdate(np.zeros(self.dense_size, np.float32), rows, 0, 0.0, user_embedding.copy())


@dataclass(frozen=True)
class _Begun:
    """A client's samples over the rows they involve, these rows, and by table their indices and counts."""

    samples: LocalSamples
    rows: LocalRows
    involved: tuple[tuple[NDArray[np.int64], NDArray[np.int64]], tuple[NDArray[np.int64], NDArray[np.int64]]]
    client: ClientPart

    def update(self, new: LocalWeights, old: LocalWeights, at: int, loss: float) -> LocalUpdate:
        """What training made of client ``at`` of a stack of them."""
        parts = (
            (new.rows.items, old.rows.items, new.rows.item_owner),
            (new.rows.categories, old.rows.categories, new.rows.category_owner),
        )
        rows = [
            RowUpdate(indices, after[owner == at] - before[owner == at], counts)
            for (indices, counts), (after, before, owner) in zip(self.involved, parts, strict=True)
        ]
        named = {"items": rows[0], "categories": rows[1]}
        return LocalUpdate(new.dense[at] - old.dense[at], named, len(self.samples), loss, new.user[at].copy())


def _train(
    begun: Sequence[_Begun], dense: NDArray[np.float32], descent: Descent, epochs: int, batch: int
) -> list[LocalUpdate]:
    """Clients with samples, most first, in one computation."""
    samples = concatenate([(one.samples, len(one.rows.items)) for one in begun])
    old, new = (
        LocalWeights(
            np.tile(dense, (len(begun), 1)),
            LocalRows.stack([one.rows for one in begun]),
            np.stack([one.client.user_embedding for one in begun]),
        )
        for _ in range(2)
    )
    seeds, sizes = [one.client.seed for one in begun], [len(one.samples) for one in begun]
    losses = descent.run(new, samples, sizes, epochs=epochs, batch=batch, seeds=seeds)
    return [one.update(new, old, at, float(loss)) for at, (one, loss) in enumerate(zip(begun, losses, strict=True))]


def check_plan(epochs: int, batch: int, learning_rate: float) -> None:
    """Refuse a training plan that cannot be followed."""
    for name, value in (("epochs", epochs), ("batch", batch)):
        if value < 1:
            raise ConfigurationError(f"`{name}` is {value}; it must be at least 1")
    if not (isfinite(learning_rate) and learning_rate > 0):
        raise ConfigurationError(f"`learning_rate` is {learning_rate}; it must be a finite number above 0")
