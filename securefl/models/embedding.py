"""The embedding rows that one client's samples involve: looked up, summed over, counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from securefl.errors import ConfigurationError

from .batches import Batch, LocalSamples
from .interface import TableSlice
from .layers import Floats


@dataclass(frozen=True)
class LocalRows:
    """Item rows (R, d), category rows (C, d), and the place of each item's category among these, (R,).

    The rows of several clients lie one after another; ``item_owner`` (R,) and ``category_owner`` (C,) tell whose.
    """

    items: NDArray[np.float32]
    categories: NDArray[np.float32]
    category_of: NDArray[np.int64]
    item_owner: NDArray[np.int64] | None = None
    category_owner: NDArray[np.int64] | None = None

    @classmethod
    def of(cls, tables: dict[str, TableSlice], category: NDArray[np.int64]) -> LocalRows:
        """The rows of a submodel; ``category`` is the public map over all items."""
        items, categories = tables["items"], tables["categories"]
        places = categories.locate(category[items.indices])
        if (places < 0).any():
            raise ConfigurationError("the submodel lacks category rows of its items; claim all that `rows_of` names")
        return cls(items.rows, categories.rows, places)

    @classmethod
    def stack(cls, parts: Sequence[LocalRows]) -> LocalRows:
        """Copies of the rows of several clients; a row that two of them have is there twice."""
        sizes = [(len(part.items), len(part.categories)) for part in parts]
        first = np.cumsum([0, *(categories for _, categories in sizes)])
        items, categories = (np.repeat(np.arange(len(parts)), counts) for counts in zip(*sizes, strict=True))
        return cls(
            np.concatenate([part.items for part in parts]),
            np.concatenate([part.categories for part in parts]),
            np.concatenate([part.category_of + at for part, at in zip(parts, first[:-1], strict=True)]),
            items,
            categories,
        )

    def only(self, items: NDArray[np.int64], categories: NDArray[np.int64]) -> LocalRows:
        """Copies of some rows, by sorted positions; every category of the items must be among the categories."""
        places = np.searchsorted(categories, self.category_of[items])
        return LocalRows(self.items[items], self.categories[categories], places)

    def embed(self, positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """[item, category] of each position: (..., 2d)."""
        return np.concatenate([self.items[positions], self.categories[self.category_of[positions]]], axis=-1)


def sum_by_position(positions: NDArray[np.int64], x: Floats) -> tuple[NDArray[np.int64], Floats]:
    """The distinct positions (U,), sorted, and the sum of the x (N, w) that share each: (U, w)."""
    order = np.argsort(positions, kind="stable")
    ordered = positions[order]
    first = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    return ordered[first], np.add.reduceat(x[order], first, axis=0)


@dataclass(frozen=True)
class Involved:
    """Which row is in which sample: pairs (sample, position), (M,) each, maybe repeated."""

    sample: NDArray[np.int64]
    position: NDArray[np.int64]

    @classmethod
    def in_batch(cls, batch: Batch) -> Involved:
        """Targets and histories of a batch."""
        return cls(
            np.concatenate([np.arange(len(batch.targets)), np.nonzero(batch.mask)[0]]),
            np.concatenate([batch.targets, batch.history[batch.mask]]),
        )

    def counts(self, places: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Map positions by ``places``: the distinct places, sorted, and in how many samples each is (n_uj)."""
        place = places[self.position]
        width = int(place.max()) + 1
        return np.unique(np.unique(self.sample * width + place) % width, return_counts=True)


def reindex(samples: LocalSamples, used: NDArray[np.int64], size: int) -> LocalSamples:
    """Positions among ``size`` rows become positions among the ``used`` ones; clicks outside are in no history."""
    place = np.zeros(size, np.int64)
    place[used] = np.arange(len(used))
    return LocalSamples(place[samples.targets], samples.labels, place[samples.clicks], samples.start, samples.stop)
