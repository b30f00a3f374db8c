"""Which groups of clients the sums of several rounds single out.

Sums over cohorts A and B give the sum over A without B less that over B without A; more rounds give more combinations
(Pasquini et al. 2022; So et al. 2023). If clients sent the same in every round, all that can be had is the span of
the rounds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["smallest_group", "reduced"]

PRIME = 2**31 - 1
MAX_STEPS = 2 * 10**8
"""Of an elimination, in an audit's time; of a longer run only rounds and pairs of rounds are looked at."""

Cohort = frozenset[str]
Matrix = NDArray[np.int64]


def smallest_group(cohorts: Sequence[Cohort]) -> tuple[Cohort, str]:
    """The smallest group that some sum or difference consists of, and how it came; empty without cohorts.

    Not above the smallest that a round, a pair of rounds or a row of the reduced span gives: an upper bound of what all
    combinations could.
    """
    names = sorted(frozenset().union(*cohorts))
    rows = np.unique(np.array([[name in cohort for name in names] for cohort in cohorts], np.int64), axis=0)
    if not rows.size:
        return frozenset(), ""
    found = [(_smallest(rows), "one round's sum"), (_smallest(_closest(rows)), "the difference of two")]
    if len(rows) > 2 and len(rows) ** 2 * len(names) <= MAX_STEPS:
        found.append((_smallest(reduced(rows)), "several together"))
    group, how = min(((group, how) for group, how in found if group.any()), key=lambda one: one[0].sum())
    return frozenset(np.array(names)[group].tolist()), how


def _smallest(rows: Matrix) -> NDArray[np.bool_]:
    """Who is in the row with the fewest clients, bool (clients,)."""
    members = rows != 0
    fewest: NDArray[np.bool_] = members[members.sum(axis=1).argmin()]
    return fewest


def _closest(rows: Matrix) -> Matrix:
    """The difference of the two rows that differ in the fewest clients, (1, clients); zeros of a single row."""
    if len(rows) < 2:
        return np.zeros_like(rows)
    sizes, shared = rows.sum(axis=1), rows.astype(np.float32) @ rows.T.astype(np.float32)
    apart = sizes[:, None] + sizes - 2 * shared
    np.fill_diagonal(apart, np.inf)
    one, other = np.unravel_index(apart.argmin(), apart.shape)
    return (rows[one] - rows[other])[None, :]


def reduced(rows: Matrix) -> Matrix:
    """The reduced row echelon form modulo a prime, (rank, clients).

    A client alone is in the span exactly if a row is that client alone.
    """
    rows, rank = rows % PRIME, 0
    for column in range(rows.shape[1]):
        below = np.flatnonzero(rows[rank:, column])
        if not below.size:
            continue
        rows[[rank, rank + below[0]]] = rows[[rank + below[0], rank]]
        rows[rank] = rows[rank] * pow(int(rows[rank, column]), -1, PRIME) % PRIME
        factors = rows[:, column].copy()
        factors[rank] = 0
        rows = (rows - factors[:, None] * rows[rank]) % PRIME
        rank += 1
        if rank == len(rows):
            break
    return rows[:rank]
