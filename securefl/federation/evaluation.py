"""Test AUC of the shared model with every user's private embedding: a view that only a simulation has."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from securefl.datasets import ClickLog
from securefl.models import Model, TableSlice, auc

EVALUATED_USERS = 1000
"""A larger log is judged by the held-out samples of this many users, the same in every round."""


class Evaluation:
    """Scores held-out samples: of all users, or of `EVALUATED_USERS` drawn once by `generator`."""

    def __init__(self, model: Model, log: ClickLog, generator: np.random.Generator) -> None:
        users = generator.permutation(log.users)[:EVALUATED_USERS]
        self._model = model
        self._samples, self._users = log.held_out(np.sort(users))

    def auc(
        self,
        dense: NDArray[np.float32],
        tables: Mapping[str, NDArray[np.float32]],
        embeddings: NDArray[np.float32],
    ) -> float | None:
        """AUC over the users' held-out samples; None where undefined. `embeddings`: float32 (users, d)."""
        slices = {name: TableSlice.whole(table) for name, table in tables.items()}
        scores = self._model.predict(dense, slices, self._samples, embeddings[self._users])
        return auc(scores, self._samples.labels)
