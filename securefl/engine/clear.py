"""The same sums in clear, from the simulated clients' own inputs: what the secure ones must equal, bit for bit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from securefl.submodel import QuantizedUpdate, RoundSums


@dataclass(frozen=True, slots=True)
class ClearUnion:
    """What survivors of the union put in: the sum of their `cells`, uint64 (cells,), and all that they `held`."""

    cells: NDArray[np.uint64]
    held: NDArray[np.int64]

    def __add__(self, other: ClearUnion) -> ClearUnion:
        return ClearUnion(self.cells + other.cells, np.union1d(self.held, other.held))


@dataclass(frozen=True, slots=True)
class ClearUpdate:
    """What survivors of the update put in: `dense` int64 (D + 1,); by table int64 (rows, width + 1)."""

    dense: NDArray[np.int64]
    tables: Mapping[str, NDArray[np.int64]]
    contributors: Mapping[str, NDArray[np.int64]]
    """By table: how many put a weight above 0 into each row, int64 (rows,)."""

    def __add__(self, other: ClearUpdate) -> ClearUpdate:
        return ClearUpdate(
            self.dense + other.dense, _added(self.tables, other.tables), _added(self.contributors, other.contributors)
        )

    def equals(self, opened: RoundSums) -> bool:
        """Whether every row sum, row count, dense sum and dense count is the same."""
        tables = opened.tables.items()
        return bool((np.append(opened.dense, opened.dense_count) == self.dense).all()) and all(
            bool((np.column_stack([t.sums, t.counts]) == self.tables[name]).all()) for name, t in tables
        )


def _added(
    some: Mapping[str, NDArray[np.int64]], others: Mapping[str, NDArray[np.int64]]
) -> Mapping[str, NDArray[np.int64]]:
    return {name: values + others[name] for name, values in some.items()}


def add_updates(updates: Iterable[QuantizedUpdate], shapes: RoundShapes) -> ClearUpdate:
    """The sum of integer updates over the rows that went up."""
    return reduce(lambda total, update: total + _spread(update, shapes), updates, shapes.zeros())


@dataclass(frozen=True, slots=True)
class RoundShapes:
    """Which rows of each table went up, and the widths: what a clear sum is laid out by."""

    dense: int
    rows: Mapping[str, NDArray[np.int64]]
    widths: Mapping[str, int]

    @classmethod
    def of(cls, opened: RoundSums) -> RoundShapes:
        """The shapes of an opened round."""
        return cls(
            opened.dense.size,
            {name: t.indices for name, t in opened.tables.items()},
            {name: t.sums.shape[1] for name, t in opened.tables.items()},
        )

    def zeros(self) -> ClearUpdate:
        """An empty sum."""
        tables = {name: np.zeros((rows.size, self.widths[name] + 1), np.int64) for name, rows in self.rows.items()}
        contributors = {name: np.zeros(rows.size, np.int64) for name, rows in self.rows.items()}
        return ClearUpdate(np.zeros(self.dense + 1, np.int64), tables, contributors)


def _spread(update: QuantizedUpdate, shapes: RoundShapes) -> ClearUpdate:
    out = shapes.zeros()
    for name, (indices, values) in update.tables.items():
        up = np.isin(indices, shapes.rows[name])
        places = np.searchsorted(shapes.rows[name], indices[up])
        out.tables[name][places] = values[up]
        out.contributors[name][places] = values[up, -1] > 0
    return ClearUpdate(update.dense, out.tables, out.contributors)
