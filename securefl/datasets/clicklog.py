"""A click log: who was shown which item when, and clicked or not; seen from one client at a time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

TEST_SHARE = 5
"""The latest 1/5 of a user's samples are held out."""
SHORTEST_SPLIT = 5
"""A user with fewer samples only trains."""


@dataclass(frozen=True, eq=False)
class Samples:
    """n samples; sample k has the history ``clicks[start[k]:stop[k]]``: its user's earlier clicks, oldest first."""

    targets: NDArray[np.int64]
    """Item shown, (n,)."""
    labels: NDArray[np.bool_]
    """Whether it was clicked, (n,)."""
    clicks: NDArray[np.int64]
    """Clicked items in order of time, (C,)."""
    start: NDArray[np.int64]
    stop: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True, eq=False)
class ClickLog:
    """All samples of all users, grouped by user and in order of time inside a user.

    Users, items and categories are numbered from 0 without gaps; ``*_ids`` give back the ids of the source.
    An item that no sample shows may still have a number: it is part of the universe.
    """

    name: str
    user: NDArray[np.int64]
    """(n,), not decreasing."""
    item: NDArray[np.int64]
    """(n,)."""
    label: NDArray[np.bool_]
    """Clicked or not, (n,)."""
    category: NDArray[np.int64]
    """Public map from item to category, (items,)."""
    user_ids: NDArray[Any]
    item_ids: NDArray[Any]
    category_ids: NDArray[Any]
    sampled_negatives: bool = False
    """The source had clicks only: the samples without click were drawn (`negatives.with_negatives`)."""

    def __len__(self) -> int:
        return len(self.item)

    @property
    def users(self) -> int:
        """How many users there are: clients of the federation."""
        return len(self.user_ids)

    @property
    def items(self) -> int:
        """Size of the item universe."""
        return len(self.item_ids)

    @property
    def categories(self) -> int:
        """How many categories there are, at least 1."""
        return len(self.category_ids)

    @cached_property
    def _first(self) -> NDArray[np.int64]:
        """First sample of each user, and the end: (users + 1,)."""
        return np.searchsorted(self.user, np.arange(self.users + 1)).astype(np.int64)

    @cached_property
    def _split(self) -> NDArray[np.int64]:
        """First held-out sample of each user, (users,)."""
        sizes = np.diff(self._first)
        return self._first[1:] - np.where(sizes >= SHORTEST_SPLIT, sizes // TEST_SHARE, 0)

    @cached_property
    def _clicks(self) -> NDArray[np.int64]:
        """Items of all clicks, (clicks,)."""
        return self.item[self.label]

    @cached_property
    def _clicks_before(self) -> NDArray[np.int64]:
        """How many clicks come before each sample, and in all: (n + 1,)."""
        return np.concatenate([[0], np.cumsum(self.label, dtype=np.int64)])

    def index_set(self, user: int) -> NDArray[np.int64]:
        """The items of a user's training samples, histories included: sorted, distinct. The client's secret."""
        return np.unique(self.item[self._first[user] : self._split[user]])

    def train(self, user: int) -> Samples:
        """A user's samples to train on, over the user's own clicks."""
        return self._own(user, self._first[user], self._split[user])

    def test(self, user: int) -> Samples:
        """A user's held-out samples; a history holds every earlier click, held-out ones too."""
        return self._own(user, self._split[user], self._first[user + 1])

    def _own(self, user: int, first: np.int64, end: np.int64) -> Samples:
        base = self._clicks_before[self._first[user]]
        stop = self._clicks_before[first:end] - base
        clicks = self._clicks[base : self._clicks_before[end]]
        return Samples(self.item[first:end], self.label[first:end], clicks, np.zeros_like(stop), stop)

    def held_out(self, users: NDArray[np.int64] | None = None) -> tuple[Samples, NDArray[np.int64]]:
        """Held-out samples of some users (None: all) in one piece, and the user of each: to evaluate in one go."""
        users = np.arange(self.users) if users is None else users
        sizes = self._first[users + 1] - self._split[users]
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        at = np.repeat(self._split[users], sizes) + within
        owner = np.repeat(users, sizes)
        start = self._clicks_before[self._first[owner]]
        return Samples(self.item[at], self.label[at], self._clicks, start, self._clicks_before[at]), owner
