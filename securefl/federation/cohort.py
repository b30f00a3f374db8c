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


class RandomCohort:
    """Uniformly at random."""

    def __init__(self, generator: np.random.Generator) -> None:
        self._generator = generator

    def select(self, available: NDArray[np.bool_], size: int) -> NDArray[np.int64]:
        """A random subset."""
        there = np.flatnonzero(available)
        return np.sort(self._generator.choice(there, min(size, there.size), replace=False))


class LongestOut:
    """Those who have been out for the most rounds; among equals, at random.

    Source: Yan et al., arXiv 2002.07399, algorithm 1: it bounds how stale any client's last update is.
    """

    def __init__(self, clients: int, generator: np.random.Generator, last: NDArray[np.int64] | None = None) -> None:
        self.last = np.zeros(clients, np.int64) if last is None else last
        """The call in which each client was last chosen, 0 for never: all the state there is. Changed in place."""
        self._generator, self._round = generator, int(self.last.max(initial=0))

    def select(self, available: NDArray[np.bool_], size: int) -> NDArray[np.int64]:
        """The subset, noted as taking part."""
        self._round += 1
        there = self._generator.permutation(np.flatnonzero(available))
        chosen = np.sort(there[np.argsort(self.last[there], kind="stable")][:size])
        self.last[chosen] = self._round
        return chosen
