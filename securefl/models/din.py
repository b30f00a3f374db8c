"""DIN (Zhou et al. 2018) as a submodel learner trains it: a client has only the rows of its own items."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, sqrt

import numpy as np
from numpy.typing import NDArray

from securefl.errors import ConfigurationError

from .batches import by_length, localize, pad, trainable
from .descent import Descent, LocalWeights
from .embedding import Involved, LocalRows, reindex
from .interface import LocalUpdate, RowUpdate, SamplesLike, TableSlice, TableSpec, Weights
from .layers import sigmoid
from .network import dense_size, forward, views

PREDICT_BATCH = 256


@dataclass(frozen=True, eq=False)
class DIN:
    """Deep Interest Network, shape of Niu et al. 2019 section 5, with private user embeddings.

    ``category`` int64 (items,) is the public map from item to category, ``categories`` how many there are.
    The defaults were chosen so that plain federated submodel averaging learns in few rounds of 100 clients.
    """

    category: NDArray[np.int64]
    categories: int
    width: int = 18
    """d: numbers in a row, and in a user embedding."""
    history: int = 100
    """At most so many items of a history are looked at, the latest ones (Niu et al. 2019, section 5)."""
    item_deviation: float = 0.05
    """Item rows start from a normal distribution of this deviation."""
    category_deviation: float = 0.5
    """Category rows likewise, so that target * history shows from the start whether categories match."""
    embedding_rate: float = 100.0
    """Rows and user embeddings step this many times farther than dense parameters: few samples move them."""
    gradient_norm: float = 1.0
    """The gradient of a step is scaled down to this Euclidean norm (0.1 and 5 in the released code)."""

    def __post_init__(self) -> None:
        if self.category.ndim != 1 or self.category.dtype.kind != "i":
            raise ConfigurationError("`category` must be a one-dimensional array of integers, one per item")
        if not 0 <= self.category.min(initial=0) <= self.category.max(initial=0) < self.categories:
            raise ConfigurationError(f"`category` must lie in 0..{self.categories - 1}; raise `categories`")
        for name in ("width", "history", "embedding_rate", "gradient_norm"):
            if not (isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise ConfigurationError(f"`{name}` is {getattr(self, name)}; it must be above 0")

    @property
    def tables(self) -> tuple[TableSpec, TableSpec]:
        """Items and categories, each ``width`` wide."""
        items = TableSpec("items", len(self.category), self.width)
        return items, TableSpec("categories", self.categories, self.width)

    @property
    def dense_size(self) -> int:
        """D: 64,327 at width 18."""
        return dense_size(self.width)

    def init(self, rng_seed: int) -> Weights:
        """Fresh shared weights, the same for the same seed.

        Glorot-uniform matrices, gamma 1, all else 0. The last layer too is 0: every prediction starts at 1/2 and the
        AUC at exactly 0.5. A lone category is 0 for good: it could only count a history, and drowns its contents.
        """
        rng = np.random.default_rng(rng_seed)
        dense = np.zeros(self.dense_size, np.float32)
        for name, view in views(dense, self.width).items():
            if name == "norm.gamma":
                view[...] = 1
            elif view.ndim == 2 and name != "fc3.w":
                limit = sqrt(6 / sum(view.shape))
                view[...] = rng.uniform(-limit, limit, view.shape)
        deviations = (self.item_deviation, self.category_deviation if self.categories > 1 else 0.0)
        tables = {
            table.name: rng.standard_normal((table.rows, table.width), np.float32) * np.float32(deviation)
            for table, deviation in zip(self.tables, deviations, strict=True)
        }
        return Weights(dense, tables)

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
        check_plan(epochs, batch, learning_rate)
        rows, items = self._rows(dense, tables_sub), tables_sub["items"]
        kept = trainable(localize(samples, items, self.history))
        if len(kept) == 0:
            return self._no_update(user_embedding)
        involved = Involved.in_batch(pad(kept))
        used, counts = involved.counts(np.arange(len(items.indices)))
        used_categories, category_counts = involved.counts(rows.category_of)
        old = LocalWeights(dense, rows.only(used, used_categories), user_embedding)
        new = old.copy()
        descent = Descent(learning_rate, self.embedding_rate, self.gradient_norm, self.categories > 1)
        loss = descent.run(new, reindex(kept, used, len(items.indices)), epochs=epochs, batch=batch, seed=seed)
        category_ids = tables_sub["categories"].indices[used_categories]
        updates = {
            "items": RowUpdate(items.indices[used], new.rows.items - old.rows.items, counts),
            "categories": RowUpdate(category_ids, new.rows.categories - old.rows.categories, category_counts),
        }
        return LocalUpdate(new.dense - dense, updates, len(kept), loss, new.user)

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
        parameters = views(dense, self.width)
        users = np.broadcast_to(user_embedding, (len(local), self.width))
        chance = np.empty(len(local), np.float32)
        for places, batch in by_length(local, PREDICT_BATCH):
            history = rows.embed(batch.history) * batch.mask[:, :, None]
            logits, _ = forward(parameters, users[places], rows.embed(batch.targets), history, batch.mask)
            chance[places] = sigmoid(logits[:, 1] - logits[:, 0])[0]
        return chance

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


def check_plan(epochs: int, batch: int, learning_rate: float) -> None:
    """Refuse a training plan that cannot be followed."""
    for name, value in (("epochs", epochs), ("batch", batch)):
        if value < 1:
            raise ConfigurationError(f"`{name}` is {value}; it must be at least 1")
    if not (isfinite(learning_rate) and learning_rate > 0):
        raise ConfigurationError(f"`learning_rate` is {learning_rate}; it must be a finite number above 0")
