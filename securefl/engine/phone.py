"""A simulated phone in one round: the protocol's client, its data, and its training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import psu
from securefl.config import Training
from securefl.engine.randomness import Rng, Tape
from securefl.federation.strategy import Weigh
from securefl.models import LocalUpdate, Model, SamplesLike, TableSlice
from securefl.submodel import Downloaded, QuantizedUpdate, SubmodelClient, SubmodelPlan, quantize
from securefl.submodel.messages import Submodel

Train = Callable[[Downloaded], tuple[LocalUpdate, QuantizedUpdate]]


class Phone:
    """Answers the server like any client; trains when its rows arrive.

    `tape` is the randomness the client draws its blinding and claims from, kept so that the simulation can check sums.
    """

    def __init__(self, client: SubmodelClient, index_set: NDArray[np.int64], tape: Tape, train: Train) -> None:
        self.index_set = index_set
        self._client, self._tape, self._train = client, tape, train
        self.update: QuantizedUpdate | None = None
        self.embedding: NDArray[np.float32] | None = None
        """The user's private embedding after training; None if it never trained. It is in no message."""

    def receive(self, message: Any) -> list[Any]:
        """The client's answers; to a submodel, the masked result of training on it."""
        answers = self._client.receive(message)
        if not isinstance(message, Submodel):
            return answers
        local, self.update = self._train(self._client.download)
        self.embedding = local.user_embedding
        return self._client.upload(self.update)

    def clear_cells(self, plan: psu.UnionPlan) -> NDArray[np.uint32]:
        """The blinded cells that this phone masked, computed again from the same randomness."""
        return psu.encode(plan, self.index_set, self._tape.replay())


def train_on(
    download: Downloaded,
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
    whole, weights = weigh(local)
    dense = quantize(local.dense[None, :], np.array([whole]), plan.dense_quantization, rng)[0]
    tables = {
        name: (rows.indices, quantize(rows.deltas, weights[name], plan.row_quantization, rng))
        for name, rows in local.rows.items()
    }
    return local, QuantizedUpdate(dense, tables)
