"""Feature heat: what share of all clients involves each row. FedSubAvg divides by it, and the server must learn it.

Two sources. `RunningHeat` adds up the contributor counts that every round opens anyway: it reveals nothing that those
rounds do not. `CountedHeat` comes from one secure sum of everybody's `indicators`, taken once before training: it
reveals how many clients hold each row, and of a row with a lone holder that there is one, though not who. With a share
of noise in each client's indicators that is a vector release of L2 sensitivity sqrt(most), accounted by `dp.Release`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dp import Noise, Rng
from securefl.errors import ConfigurationError, LocalProtocolError
from securefl.submodel import RoundSums

__all__ = ["CountedHeat", "Heat", "RunningHeat", "counted", "indicators"]

Indices = NDArray[np.int64]
State = dict[str, NDArray[np.int64]]


class Heat(Protocol):
    """An estimate of heat that may grow better with every round."""

    def observe(self, sums: RoundSums) -> None:
        """Learn from the sums of a round whose row counts are contributors."""

    def share(self, table: str, rows: Indices) -> NDArray[np.float64]:
        """(R,) above 0 and at most 1: the part of all clients that involves each row."""

    @property
    def state(self) -> State:
        """What a checkpoint keeps, by name: live arrays, restored by writing into them."""


@dataclass(frozen=True, slots=True, eq=False)
class CountedHeat:
    """Heat from a sum over the population. counts: by table (rows,), exact or noisy; below 1 counts as 1."""

    counts: Mapping[str, NDArray[np.integer]]
    clients: int

    def __post_init__(self) -> None:
        if self.clients < 1:
            raise ConfigurationError(f"heat: counted over {self.clients} clients; it takes at least 1")

    def observe(self, sums: RoundSums) -> None:
        """Nothing: it is known."""

    def share(self, table: str, rows: Indices) -> NDArray[np.float64]:
        """See `Heat`."""
        known: NDArray[np.float64] = np.clip(self.counts[table][rows], 1, self.clients) / np.float64(self.clients)
        return known

    @property
    def state(self) -> State:
        """Empty."""
        return {}


class RunningHeat:
    """Heat from the counts of past rounds: contributors of a row over all survivors of all rounds, opened or not.

    Lost claims are in it: a holder whose claim leaves a row out does not contribute, and the heat of the row is lower
    by as much as its sums are. A row is estimated by the first round that opens it, high or low; the error of a row of
    heat h after r rounds of K is about sqrt(h / (r K)).
    """

    def __init__(self, rows: Mapping[str, int]) -> None:
        self._seen = {name: np.zeros(size, np.int64) for name, size in rows.items()}
        self._clients = np.zeros(1, np.int64)

    def observe(self, sums: RoundSums) -> None:
        """See `Heat`."""
        self._clients += len(sums.survivors)
        for name, table in sums.tables.items():
            self._seen[name][table.indices] += table.counts

    def share(self, table: str, rows: Indices) -> NDArray[np.float64]:
        """See `Heat`. A row that nobody was seen to hold counts as one client's."""
        clients = np.maximum(self._clients, 1).astype(np.float64)
        return np.clip(self._seen[table][rows], 1, clients) / clients

    @property
    def state(self) -> State:
        """See `Heat`."""
        return {f"heat.{name}": seen for name, seen in self._seen.items()} | {"heat_clients": self._clients}


def indicators(
    held: Mapping[str, Indices],
    rows: Mapping[str, int],
    *,
    most: int | None = None,
    noise: Noise | None = None,
    rng: Rng = os.urandom,
) -> NDArray[np.int64]:
    """A client's vector for the secure sum of heat: 1 at each row it holds, table after table, int64 (all rows,).

    most: ones at most; of more a uniform subset is kept, and the L2 sensitivity is sqrt(most). noise: this client's
    share of it; account for `dp.sure_shares`.
    """
    sizes = np.cumsum([0, *rows.values()])
    out = np.zeros(int(sizes[-1]), np.int64)
    for start, (name, size) in zip(sizes.tolist(), rows.items(), strict=False):
        own = held.get(name, np.empty(0, np.int64))
        if own.size and (own.min() < 0 or own.max() >= size):
            raise LocalProtocolError(f"heat: a row of table {name!r} is not below {size}")
        out[start + own] = 1
    ones = np.flatnonzero(out)
    if most is not None and ones.size > most:
        keys = np.frombuffer(rng(8 * ones.size), np.uint64)
        out[ones[np.argsort(keys)[most:]]] = 0
    return out if noise is None else out + noise.sample(out.size, rng)


def counted(total: NDArray[np.int64], rows: Mapping[str, int], clients: int) -> CountedHeat:
    """The heat that an opened sum of `indicators` gives. clients: how many are in the sum."""
    parts: Sequence[NDArray[np.int64]] = np.split(total, np.cumsum(list(rows.values()))[:-1])
    return CountedHeat(dict(zip(rows, parts, strict=True)), clients)
