"""Samples without click, for logs that only record clicks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def draw_unseen(
    user: NDArray[np.int64], item: NDArray[np.int64], items: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """For each click (user, item), both (n,): an item, uniform among those of 0..items-1 the user never clicked.

    -1 where the user clicked every item. No rejection: the r-th unseen item is r plus the seen items before it.
    """
    pairs = np.unique(user * items + item)
    owner, seen = np.divmod(pairs, items)
    first = np.searchsorted(owner, np.arange(user.max(initial=-1) + 2))
    rank = np.arange(len(pairs)) - first[owner]
    unseen = items - np.diff(first)
    r = rng.integers(0, np.maximum(unseen[user], 1))
    # seen - rank counts the unseen items below each seen one: it does not decrease inside a user.
    below = np.searchsorted(owner * (items + 1) + seen - rank, user * (items + 1) + r, side="right")
    return np.where(unseen[user] > 0, r + below - first[user], -1)


def with_negatives(
    user: NDArray[np.int64], item: NDArray[np.int64], items: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Put before each click a sample of an unseen item: (user, item, label), up to twice as long, in the same order.

    The same seed gives the same samples: a client's index set does not change from round to round.
    """
    drawn = draw_unseen(user, item, items, np.random.default_rng(seed))
    doubled = np.stack([drawn, item], axis=1).ravel()
    kept = doubled >= 0
    label = np.tile([False, True], len(item))
    return np.repeat(user, 2)[kept], doubled[kept], label[kept]
