"""From a client's samples to padded arrays of positions in the rows it may use."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .interface import SamplesLike, TableSlice


@dataclass(frozen=True)
class LocalSamples:
    """n samples whose items are positions in a table slice instead of indices of the whole table."""

    targets: NDArray[np.int64]
    labels: NDArray[np.bool_]
    clicks: NDArray[np.int64]
    start: NDArray[np.int64]
    stop: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, which: NDArray[np.bool_] | NDArray[np.int64]) -> LocalSamples:
        """The samples that a mask or an index array picks, over the same clicks."""
        picked = (self.targets[which], self.labels[which], self.clicks, self.start[which], self.stop[which])
        return LocalSamples(*picked)


@dataclass(frozen=True)
class Batch:
    """B samples, histories padded to the longest: ``targets``, ``labels`` (B,); ``history``, ``mask`` (B, L)."""

    targets: NDArray[np.int64]
    labels: NDArray[np.bool_]
    history: NDArray[np.int64]
    mask: NDArray[np.bool_]


def localize(samples: SamplesLike, items: TableSlice, history: int) -> LocalSamples:
    """Replace items by their position in ``items``; a target that is not there becomes -1.

    Clicks that are not there leave the histories first; only then the latest ``history`` ones are taken.
    Costs O(samples + clicks), however long the histories are.
    """
    at = items.locate(samples.clicks)
    kept = np.concatenate([[0], np.cumsum(at >= 0)])
    start, stop = kept[samples.start], kept[samples.stop]
    start = np.maximum(start, stop - history)
    return LocalSamples(items.locate(samples.targets), samples.labels, at[at >= 0], start, stop)


def trainable(samples: LocalSamples) -> LocalSamples:
    """The samples with a target and at least one history item (Niu et al. 2019; docs of `DIN.train_local`)."""
    return samples.take((samples.targets >= 0) & (samples.stop > samples.start))


def pad(samples: LocalSamples) -> Batch:
    """All samples as one batch; padding is position 0 under a false mask."""
    lengths = samples.stop - samples.start
    steps = np.arange(lengths.max(initial=0))
    mask = steps < lengths[:, None]
    history = np.zeros(mask.shape, np.int64)
    history[mask] = samples.clicks[(samples.start[:, None] + steps)[mask]]
    return Batch(samples.targets, samples.labels, history, mask)


def by_length(samples: LocalSamples, size: int) -> Iterator[tuple[NDArray[np.int64], Batch]]:
    """Batches of at most ``size`` samples with histories of like length, and which samples they are."""
    order = np.argsort(samples.stop - samples.start, kind="stable")
    for first in range(0, len(order), size):
        places = order[first : first + size]
        yield places, pad(samples.take(places))
