"""From a client's samples to padded arrays of positions in the rows it may use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    """B samples, histories padded to the longest: ``targets``, ``labels`` (B,); ``history``, ``mask`` (B, L).

    For m clients at once all have one more axis before these, and where ``real`` is false a client has fewer samples.
    """

    targets: NDArray[np.int64]
    labels: NDArray[np.bool_]
    history: NDArray[np.int64]
    mask: NDArray[np.bool_]
    real: NDArray[np.bool_]


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


def pad(samples: LocalSamples, places: NDArray[np.int64] | None = None) -> Batch:
    """Samples as one batch: all of them, or those at ``places`` (..., B), where -1 is none.

    Padding is position 0 under a false mask.
    """
    places = np.arange(len(samples)) if places is None else places
    real, start = places >= 0, samples.start[places]
    lengths = np.where(real, samples.stop[places] - start, 0)
    steps = np.arange(lengths.max(initial=0))
    mask = steps < lengths[..., None]
    history = np.zeros(mask.shape, np.int64)
    history[mask] = samples.clicks[(start[..., None] + steps)[mask]]
    return Batch(samples.targets[places], samples.labels[places], history, mask, real)


def concatenate(parts: Sequence[tuple[LocalSamples, int]]) -> LocalSamples:
    """The samples of several clients in one piece; each brings how many rows it has, and they lie one after another."""
    clicks = np.cumsum([0, *(len(samples.clicks) for samples, _ in parts)])
    rows = np.cumsum([0, *(count for _, count in parts)])
    moved = [
        (samples.targets + row, samples.labels, samples.clicks + row, samples.start + click, samples.stop + click)
        for (samples, _), row, click in zip(parts, rows[:-1], clicks[:-1], strict=True)
    ]
    targets, labels, clicked, start, stop = (np.concatenate(column) for column in zip(*moved, strict=True))
    return LocalSamples(targets, labels, clicked, start, stop)


def by_length(samples: LocalSamples, size: int) -> Iterator[tuple[NDArray[np.int64], Batch]]:
    """Batches of at most ``size`` samples with histories of like length, and which samples they are."""
    order = np.argsort(samples.stop - samples.start, kind="stable")
    for first in range(0, len(order), size):
        places = order[first : first + size]
        yield places, pad(samples.take(places))
