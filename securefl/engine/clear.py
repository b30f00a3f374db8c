"""The same sums in clear, from the simulated clients' own inputs: what the secure ones must equal, bit for bit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from securefl.submodel import QuantizedUpdate, RoundSums


@dataclass(frozen=True, slots=True)
class UnionCheck:
    """A decoded union beside the true one."""

    exact: bool
    """The opened cells equal the sum of the survivors' blinded cells."""
    false: int
    lost: int


def check_union(
    opened: NDArray[np.uint64],
    union: NDArray[np.int64],
    cells: Sequence[NDArray[np.uint32]],
    held: Sequence[NDArray[np.int64]],
    bits: int,
) -> UnionCheck:
    """`opened` (cells,) and `union` as the server has them; `cells` and `held` of every client in the sum."""
    total = np.zeros(opened.shape, np.uint64)
    for own in cells:
        total += own
    truth = np.unique(np.concatenate(held))
    exact = bool((total & np.uint64((1 << bits) - 1) == opened).all())
    found = np.intersect1d(union, truth, assume_unique=True).size
    return UnionCheck(exact, union.size - found, truth.size - found)


def update_is_exact(sums: RoundSums, updates: Iterable[QuantizedUpdate]) -> bool:
    """Whether every row sum, row count, dense sum and dense count is that of the survivors' integers."""
    given = list(updates)
    dense = sum((u.dense for u in given), np.zeros(sums.dense.size + 1, np.int64))
    if not (np.append(sums.dense, sums.dense_count) == dense).all():
        return False
    for name, opened in sums.tables.items():
        total = np.zeros((opened.indices.size, opened.sums.shape[1] + 1), np.int64)
        for update in given:
            indices, values = update.tables[name]
            up = np.isin(indices, opened.indices)
            total[np.searchsorted(opened.indices, indices[up])] += values[up]
        if not (np.column_stack([opened.sums, opened.counts]) == total).all():
            return False
    return True
