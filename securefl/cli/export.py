"""``securefl demo --export``: the submodel that one client would hold after the run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from securefl.errors import ConfigurationError
from securefl.inference import Submodel, save_submodel
from securefl.models import DIN, TableSlice

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from securefl.datasets import ClickLog
    from securefl.engine.local import Trained

__all__ = ["check_folder", "exporter"]

SUBMODEL, CLICKS = "submodel.safetensors", "clicks.txt"


def check_folder(folder: Path, option: str) -> None:
    """Make the folder. Raises ConfigurationError, naming the option."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{option}: {folder} cannot be made: {error.strerror}") from None


def exporter(log: ClickLog, folder: Path) -> Callable[[Trained], None]:
    """Writes the submodel of the user with the most clicks: rows of its clicks and of what it may be shown."""

    def export(trained: Trained) -> None:
        user = int(np.bincount(log.user[log.label], minlength=log.users).argmax())
        samples = log.test(user)
        items = np.union1d(log.index_set(user), np.union1d(samples.targets, samples.clicks))
        save_submodel(submodel(trained, items, user), folder / SUBMODEL)
        (folder / CLICKS).write_text("".join(f"{item}\n" for item in samples.clicks), encoding="utf-8")

    return export


def submodel(trained: Trained, items: NDArray[np.int64], user: int) -> Submodel:
    """What a client that holds `items` (sorted, distinct) needs of the trained model. Raises ConfigurationError."""
    if not isinstance(trained.model, DIN):
        raise ConfigurationError('--export: submodels of "din" are exported, not of others; use training.model="din"')
    tables, category = trained.weights.tables, trained.model.category
    categories = TableSlice.whole(tables["categories"])
    rows = np.hstack([tables["items"][items], categories.rows[category[items]]])
    return Submodel(trained.weights.dense, items, rows, trained.embeddings[user])
