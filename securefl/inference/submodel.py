"""A submodel as a file, and ranking with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from .din import PADDING, Submodel, din_graph
from .errors import InputError, ModelError
from .session import Session

__all__ = ["Ranker", "load_submodel", "save_submodel"]

KINDS = {"dense": np.float32, "items": np.int64, "rows": np.float32, "user": np.float32}
RANKS = {"dense": 1, "items": 1, "rows": 2, "user": 1}


def save_submodel(model: Submodel, path: str | Path) -> None:
    """Write a submodel as safetensors. The user's embedding is in it: the file is private."""
    save_file({name: np.ascontiguousarray(getattr(model, name)) for name in KINDS}, path)


def load_submodel(path: str | Path) -> Submodel:
    """Read what `save_submodel` wrote. Raises ModelError."""
    try:
        tensors: dict[str, NDArray[Any]] = load_file(path)
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise ModelError(f"{path} is no submodel: {type(error).__name__}") from None
    if tensors.keys() != KINDS.keys():
        raise ModelError(f"{path} is no submodel: it needs the tensors {', '.join(KINDS)}")
    for name, kind in KINDS.items():
        array = tensors[name]
        if array.dtype != kind or array.ndim != RANKS[name] or not np.isfinite(array).all():
            raise ModelError(f"{path}: {name} must be finite {np.dtype(kind)} of {RANKS[name]} dimensions")
    return Submodel(**tensors)


class Ranker:
    """Orders up to `candidates` items for one user by the chance of a click, after its latest `history` clicks."""

    def __init__(self, model: Submodel, candidates: int, history: int = 100, **settings: Any) -> None:
        self._items, self._candidates, self._history = model.items, candidates, history
        self.session = Session(din_graph(model, candidates, history), **settings)

    def chances(self, items: NDArray[np.int64], clicks: NDArray[np.int64]) -> NDArray[np.float32]:
        """The chance of a click for each of `items` (n,), after `clicks` (m,), oldest first: float32 (n,).

        Clicks on items that the submodel lacks do not count. Raises InputError for more items than candidates, or for
        an item without a row.
        """
        if items.ndim != 1 or not 0 < len(items) <= self._candidates:
            raise InputError(
                f"items: {items.shape} items; a ranker of {self._candidates} takes 1 to {self._candidates}"
            )
        if not np.isin(items, self._items).all():
            raise InputError("items: one has no row in the submodel; rank only what was claimed")
        known = clicks[np.isin(clicks, self._items)][-self._history :]
        target = np.full(self._candidates, items[0], np.int64)
        target[: len(items)] = items
        history = np.full((self._candidates, self._history), PADDING, np.int64)
        history[:, : len(known)] = known
        chance = self.session.run({"target": target, "history": history})["chance"]
        return chance[: len(items), 0]

    def rank(self, items: NDArray[np.int64], clicks: NDArray[np.int64]) -> NDArray[np.int64]:
        """The same items, the likeliest click first; ties keep their order. Raises like `chances`."""
        return items[np.argsort(-self.chances(items, clicks), kind="stable")]
