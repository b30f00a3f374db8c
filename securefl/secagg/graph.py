"""Who masks with whom: the complete graph, or a sparse Harary graph over a permutation that the roster fixes.

Source: Bell et al. 2020, "Secure Single-Server Aggregation with (Poly)Logarithmic Overhead", section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from securefl.secagg.finder import degree_and_threshold
from securefl.transcript import Label, digest

__all__ = ["Graph", "degree_and_threshold"]


@dataclass(frozen=True, slots=True)
class Graph:
    """The neighbourhoods of ids 1..size. `degree` None is the complete graph."""

    size: int
    degree: int | None
    seed: bytes = b""
    """Roster hash: the permutation is fixed only once every key is."""

    @property
    def complete(self) -> bool:
        """Whether everybody is everybody's neighbour."""
        return self.degree is None or self.degree >= self.size - 1

    @property
    def neighbourhood(self) -> int:
        """How many neighbours everybody has."""
        return self.size - 1 if self.degree is None else min(self.degree, self.size - 1)

    def place(self, client: int, neighbour: int) -> int:
        """Where `neighbour` stands among the neighbours of `client`, from 0."""
        if self.complete:
            return neighbour - 1 - (neighbour > client)
        return self.neighbours(client).index(neighbour)

    def neighbours(self, client: int) -> tuple[int, ...]:
        """Ids joined to `client`, ascending."""
        if self.complete:
            return tuple(v for v in range(1, self.size + 1) if v != client)
        ring, place = _ring(self.size, self.seed)
        at, reach = place[client - 1], (self.degree or 0) // 2
        return tuple(sorted(ring[(at + step) % self.size] for step in range(-reach, reach + 1) if step))


@lru_cache(maxsize=4)
def _ring(size: int, seed: bytes) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Ids in ring order, and the place of each id: a permutation by sorting labelled hashes."""
    ring = sorted(range(1, size + 1), key=lambda client: digest(Label.GRAPH, seed, client))
    place = [0] * size
    for at, client in enumerate(ring):
        place[client - 1] = at
    return tuple(ring), tuple(place)
