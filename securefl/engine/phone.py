"""A simulated phone in one round: the protocol's client, its data, and its training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

import dp
import psu
from securefl.config import Training
from securefl.federation.clipping import clipped, equally
from securefl.federation.randomness import Rng, Tape
from securefl.federation.strategy import Weigh
from securefl.federation.training import Learned
from securefl.models import LocalUpdate, Model, SamplesLike, TableSlice
from securefl.submodel import QuantizedUpdate, SubmodelClient, SubmodelPlan, quantize
from securefl.submodel.messages import Submodel
from securefl.submodel.rows import followed


class Download(Protocol):
    """What a client trains on: `submodel.Downloaded` is one."""

    @property
    def dense(self) -> NDArray[np.float32]:
        """(D,)"""

    def rows(self, table: str) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Claimed rows of a table: indices (R,) and values (R, width)."""


Train = Callable[[Download], tuple[LocalUpdate, QuantizedUpdate]]
Noised = Callable[[QuantizedUpdate, Mapping[str, NDArray[np.int64]]], QuantizedUpdate]
"""What a client makes of its update before it is masked, given the rows of each table that it claims."""


class Phone:
    """Answers the server like any client; trains when its rows arrive.

    `tape` is the randomness the client draws its blinding and claims from, and `noise` that of its share of noise, kept
    so that the simulation can check sums.
    """

    def __init__(
        self, client: SubmodelClient, index_set: NDArray[np.int64], tape: Tape, train: Train, noise: Noised
    ) -> None:
        self.index_set = index_set
        self._client, self._tape, self._train, self._noise = client, tape, train, noise
        self.update: QuantizedUpdate | None = None
        self.learned: Learned | None = None
        """What stays on the device; None if it never trained."""

    def receive(self, message: Any) -> list[Any]:
        """The client's answers; to a submodel, the masked result of training on it."""
        answers = self._client.receive(message)
        if not isinstance(message, Submodel):
            return answers
        download = self._client.download
        local, update = self._train(download)
        self.learned = Learned(local.user_embedding, local.samples, local.loss)
        sent = self._client.upload(update)
        self.update = self._noise(update, {name: download.rows(name)[0] for name in update.tables})
        return sent

    def clear_cells(self, plan: psu.UnionPlan) -> NDArray[np.uint32]:
        """The blinded cells that this phone masked, computed again from the same randomness."""
        return psu.encode(plan, self.index_set, self._tape.replay())


@dataclass(frozen=True, eq=False)
class Shown:
    """A model as clients without masks get it: `dense` (D,), and rows of every table."""

    dense: NDArray[np.float32]
    tables: Mapping[str, TableSlice]

    def rows(self, table: str) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """See `Download`."""
        return self.tables[table].indices, self.tables[table].rows

    def part(self, wanted: Mapping[str, NDArray[np.int64]]) -> Shown:
        """Only some of the rows."""
        places = {name: self.tables[name].locate(rows) for name, rows in wanted.items()}
        return Shown(
            self.dense, {name: TableSlice(rows, self.tables[name].rows[places[name]]) for name, rows in wanted.items()}
        )


class PlainPhone:
    """A phone whose server reads everything: it draws and computes what a `Phone` does, from the same `tape`."""

    def __init__(
        self,
        plan: SubmodelPlan,
        maps: Mapping[str, NDArray[np.int64]],
        index_set: NDArray[np.int64],
        memo: dp.Memo,
        tape: Tape,
        train: Train,
        noise: Noised,
    ) -> None:
        self.index_set = index_set
        self._plan, self._maps, self._memo, self._tape, self._train = plan, maps, memo, tape, train
        self._noise = noise
        self._cells: NDArray[np.uint32] = psu.encode(plan.union_plan, index_set, tape)
        self._claimed = np.zeros(0, np.int64)
        self.update: QuantizedUpdate | None = None
        self.learned: Learned | None = None

    def clear_cells(self, _plan: psu.UnionPlan) -> NDArray[np.uint32]:
        """See `Phone`."""
        return self._cells

    def claim(self, union: NDArray[np.int64]) -> NDArray[np.int64]:
        """The indices of the union that it asks for, ascending."""
        answers = dp.privatize(self._plan.two_stage, union, self.index_set, self._memo, self._tape)
        self._claimed = union[answers]
        return self._claimed

    def train(self, shown: Shown) -> None:
        """Train on what was asked for."""
        items, *followers = (table.name for table in self._plan.tables)
        wanted = {items: self._claimed} | {name: followed(self._claimed, self._maps[name]) for name in followers}
        local, update = self._train(shown.part(wanted))
        self.update = self._noise(update, wanted)
        self.learned = Learned(local.user_embedding, local.samples, local.loss)


def train_on(
    download: Download,
    samples: SamplesLike,
    embedding: NDArray[np.float32],
    *,
    model: Model,
    plan: SubmodelPlan,
    weigh: Weigh,
    settings: Training,
    learning_rate: float,
    seed: int,
    rng: Rng,
) -> tuple[LocalUpdate, QuantizedUpdate]:
    """Train on the claimed rows and quantize the outcome, weighted as the strategy wants."""
    local = model.train_local(
        download.dense,
        {t.name: TableSlice(*download.rows(t.name)) for t in plan.tables},
        samples,
        embedding,
        epochs=settings.epochs,
        batch=settings.batch,
        learning_rate=learning_rate,
        seed=seed,
    )
    if plan.noise is not None:
        local, weigh = clipped(local, plan), equally
    whole, weights = weigh(local)
    dense = quantize(local.dense[None, :], np.array([whole]), plan.dense_quantization, rng)[0]
    tables = {
        name: (rows.indices, quantize(rows.deltas, weights[name], plan.row_quantization, rng))
        for name, rows in local.rows.items()
    }
    return local, QuantizedUpdate(dense, tables)
