"""What the federation needs of a model: tables of rows, one dense vector, and training on a few rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from securefl.errors import ConfigurationError


@dataclass(frozen=True)
class TableSpec:
    """An embedding table: ``rows`` rows of ``width`` float32 numbers."""

    name: str
    rows: int
    width: int


@dataclass(frozen=True)
class Weights:
    """The shared model: ``dense`` float32 (D,) and, by table name, float32 (rows, width)."""

    dense: NDArray[np.float32]
    tables: dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class TableSlice:
    """Some rows of a table: ``indices`` int64 (R,), sorted and distinct, and ``rows`` float32 (R, width)."""

    indices: NDArray[np.int64]
    rows: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.rows.ndim != 2 or self.indices.shape != self.rows.shape[:1]:
            raise ConfigurationError(
                f"a table slice needs one row per index: {self.indices.shape} indices, rows {self.rows.shape}"
            )
        if len(self.indices) > 1 and not (self.indices[1:] > self.indices[:-1]).all():
            raise ConfigurationError("the indices of a table slice must be sorted and distinct; use numpy.unique")

    @classmethod
    def whole(cls, table: NDArray[np.float32]) -> TableSlice:
        """All rows of a table (rows, width)."""
        return cls(np.arange(len(table)), table)

    def locate(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Position of each index in this slice, -1 where absent; same shape as ``indices``."""
        if len(self.indices) == 0:
            return np.full(indices.shape, -1, np.int64)
        at = np.minimum(np.searchsorted(self.indices, indices), len(self.indices) - 1)
        return np.where(self.indices[at] == indices, at, -1)


class SamplesLike(Protocol):
    """n samples of one or more users; sample k has the history ``clicks[start[k]:stop[k]]``, oldest first."""

    @property
    def targets(self) -> NDArray[np.int64]:
        """Item shown, (n,)."""

    @property
    def labels(self) -> NDArray[np.bool_]:
        """Whether it was clicked, (n,)."""

    @property
    def clicks(self) -> NDArray[np.int64]:
        """Clicked items in order of time, (C,)."""

    @property
    def start(self) -> NDArray[np.int64]:
        """(n,)."""

    @property
    def stop(self) -> NDArray[np.int64]:
        """(n,)."""


@dataclass(frozen=True)
class ClientPart:
    """What one client of a cohort trains on: see `Model.train_local` for each."""

    tables: dict[str, TableSlice]
    samples: SamplesLike
    user_embedding: NDArray[np.float32] = field(repr=False)
    seed: int


@dataclass(frozen=True)
class RowUpdate:
    """What local training did to a table: only rows that a kept sample involves."""

    indices: NDArray[np.int64]
    """(R,), sorted and distinct."""
    deltas: NDArray[np.float32]
    """(R, width): new minus old."""
    counts: NDArray[np.int64]
    """(R,): n_uj, how many of the client's kept samples involve row j; at least 1."""


@dataclass(frozen=True)
class LocalUpdate:
    """The outcome of one client's local training. Only ``user_embedding`` is private: it stays on the device."""

    dense: NDArray[np.float32]
    """(D,): new minus old."""
    rows: dict[str, RowUpdate]
    samples: int
    """n_u: samples that were kept; 0 if none was, and then every delta is zero or absent."""
    loss: float
    """Mean training loss over the last epoch, in nats; NaN-free, 0 without samples."""
    user_embedding: NDArray[np.float32] = field(repr=False)


class Model(Protocol):
    """A click model of which a client can train a part."""

    @property
    def tables(self) -> tuple[TableSpec, ...]:
        """The tables; the first holds one row per item."""

    @property
    def maps(self) -> Mapping[str, NDArray[np.int64]]:
        """For each further table, the row that goes with each item, (items,): public."""

    @property
    def dense_size(self) -> int:
        """D."""

    def init(self, rng_seed: int) -> Weights:
        """Fresh shared weights."""

    def init_user(self) -> NDArray[np.float32]:
        """The private embedding a client starts from, (d,)."""

    def rows_of(self, items: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
        """By table: the rows (sorted, distinct) that go with a set of items. Public knowledge."""

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
        """SGD on the samples that the rows of ``tables_sub`` allow."""

    def train_cohort(
        self,
        dense: NDArray[np.float32],
        clients: Sequence[ClientPart],
        *,
        epochs: int,
        batch: int,
        learning_rate: float,
    ) -> list[LocalUpdate]:
        """`train_local` of many clients that start from one model, in a few computations: for a simulation."""

    def predict(
        self,
        dense: NDArray[np.float32],
        tables_sub: dict[str, TableSlice],
        samples: SamplesLike,
        user_embedding: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Probability of a click for every sample, (n,); ``user_embedding`` is (d,) or one a sample, (n, d)."""
