"""Who of the available clients is invited to a round."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["LongestOut", "RandomCohort", "Selection"]


class Selection(Protocol):
    """A rule of choosing `size` clients, fewer if fewer are available."""

    def select(self, available: NDArray[np.bool_], size: int) -> NDArray[np.int64]:
        """Ascending clients out of the mask, (clients,)."""

    @property
    def state(self) -> dict[str, NDArray[np.int64]]:
        """What a checkpoint keeps beside the generator's state: live arrays, restored by writing into them."""


class RandomCohort:
    """Uniformly at random."""

    def __init__(self, generator: np.random.Generator) -> None:
        self._generator = generator

    def select(self, available: NDArray[np.bool_], size: int) -> NDArray[np.int64]:
        """A random subset."""
        there = np.flatnonzero(available)
        return np.sort(self._generator.choice(there, min(size, there.size), replace=False))

    @property
    def state(self) -> dict[str, NDArray[np.int64]]:
        """Nothing."""
        return {}


class LongestOut:
    """Those who have been out for the most rounds; among equals, at random.

    Source: Yan et al., arXiv 2002.07399, algorithm 1: it bounds how stale any client's last update is.
    """

    def __init__(self, clients: int, generator: np.random.Generator, last: NDArray[np.int64] | None = None) -> None:
        self._generator = generator
        self.last = np.zeros(clients, np.int64) if last is None else last
        """When each client was last chosen, counting rounds in which anybody was; 0 for never. Changed in place."""

    def select(self, available: NDArray[np.bool_], size: int) -> NDArray[np.int64]:
        """The subset, noted as taking part."""
        there = self._generator.permutation(np.flatnonzero(available))
        chosen = np.sort(there[np.argsort(self.last[there], kind="stable")][:size])
        self.last[chosen] = self.last.max(initial=0) + 1
        return chosen

    @property
    def state(self) -> dict[str, NDArray[np.int64]]:
        """See `Selection`."""
        return {"last": self.last}
