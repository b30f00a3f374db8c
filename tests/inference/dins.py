"""DINs to test with: weights from a seed, and what the trainer's own forward says about them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from securefl.datasets.clicklog import Samples
from securefl.inference import PADDING, Submodel
from securefl.models import DIN, TableSlice

ITEMS, CATEGORIES = 90, 7


@dataclass(frozen=True)
class Trained:
    """A model whose weights are all away from zero, and a client that holds some of its rows."""

    model: DIN
    dense: np.ndarray
    tables: dict[str, np.ndarray]
    user: np.ndarray
    items: np.ndarray

    def submodel(self) -> Submodel:
        categories = self.tables["categories"][self.model.category[self.items]]
        return Submodel(self.dense, self.items, np.hstack([self.tables["items"][self.items], categories]), self.user)

    def predict(self, targets: np.ndarray, histories: np.ndarray) -> np.ndarray:
        """The trainer's chances; padding is no click."""
        clicks = [row[row != PADDING] for row in histories]
        stop = np.cumsum([len(row) for row in clicks])
        start = stop - [len(row) for row in clicks]
        samples = Samples(targets, np.zeros(len(targets), bool), np.concatenate(clicks), start, stop)
        whole = TableSlice.whole(self.tables["categories"])
        slices = {"items": TableSlice(self.items, self.tables["items"][self.items]), "categories": whole}
        return self.model.predict(self.dense, slices, samples, self.user)


def trained(seed: int, width: int = 18, held: int = 40) -> Trained:
    rng = np.random.default_rng(seed)
    model = DIN(rng.integers(0, CATEGORIES, ITEMS), CATEGORIES, width=width, history=1000)
    weights = model.init(seed)
    dense = weights.dense + 0.05 * rng.standard_normal(weights.dense.shape, np.float32)
    tables = dict(weights.tables)
    user = rng.standard_normal(width, np.float32) / 4
    items = np.sort(rng.choice(ITEMS, held, replace=False))
    return Trained(model, dense, tables, user, items)


def samples(of: Trained, count: int, history: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Targets it holds, and histories of any length, with items it holds and others."""
    rng = np.random.default_rng(seed)
    targets = rng.choice(of.items, count)
    histories = rng.integers(0, ITEMS, (count, history))
    histories[np.arange(history) >= rng.integers(0, history + 1, (count, 1))] = PADDING
    return targets, histories
