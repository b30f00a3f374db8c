"""A round drawn before it runs: how many rows a client asks for, and how many reach the row floor.

Only sizes come out of it, and only as means: the draw is always the same.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from securefl.audit.population import Population
from securefl.config import Config
from securefl.submodel.sizes import Load

__all__ = ["rehearse"]

DRAWN_CLIENTS = 16
TABLES = ("items", "categories")


def rehearse(config: Config, population: Population, false_indices: float = 0.0) -> Load:
    """The mean load of a client with nobody lost; `false_indices` of the union are held by nobody."""
    rng, n, floor = np.random.default_rng(0), config.cohort.clients, config.row_floor_of(config.cohort.clients)
    q1, q0 = float(config.response.q1), float(config.response.q0)
    holders = _holders(population, round(false_indices), n)
    category = rng.choice(population.category, holders.size)
    claimed = rng.binomial(holders, q1) + rng.binomial(n - holders, q0)
    mine = rng.random((min(n, DRAWN_CLIENTS), holders.size)) < _odds(holders, n, q1, q0)
    sizes, families = _by_category(mine, category, population.categories)
    claimed_families = rng.binomial(n, families.mean(axis=0))
    return Load(
        union=holders.size,
        claimed=float(mine.sum(axis=1).mean()),
        down=dict(zip(TABLES, (float(mine.sum(axis=1).mean()), sizes), strict=True)),
        up=dict(zip(TABLES, (_up(mine, claimed, floor), _up(families, claimed_families, floor)), strict=True)),
    )


def _holders(population: Population, false_indices: int, clients: int) -> NDArray[np.int64]:
    """Holders of every index of a union, by the law of the drawn cohorts, and none of a filter's false positives."""
    counts = np.array(sorted(population.holders), np.int64)
    weights = np.array([population.holders[int(count)] for count in counts], np.float64)
    rows = np.repeat(counts, np.maximum(1, np.round(weights * population.union / weights.sum())).astype(np.int64))
    return np.concatenate([np.minimum(rows, clients), np.zeros(false_indices, np.int64)])


def _odds(holders: NDArray[np.int64], clients: int, q1: float, q0: float) -> NDArray[np.float64]:
    """P[a client claims the index], holder or not."""
    odds: NDArray[np.float64] = q0 + (q1 - q0) * holders / clients
    return odds


def _by_category(
    mine: NDArray[np.bool_], category: NDArray[np.int64], categories: int
) -> tuple[float, NDArray[np.bool_]]:
    """Mean number of categories a client asks for, and which, bool (clients, categories)."""
    asked = np.zeros((len(mine), categories), np.bool_)
    client, index = np.nonzero(mine)
    asked[client, category[index]] = True
    return float(asked.sum(axis=1).mean()), asked


def _up(mine: NDArray[np.bool_], claimants: NDArray[np.int64], floor: int) -> float:
    """Mean number of a client's rows that reach the floor."""
    return float((mine & (claimants >= floor)).sum(axis=1).mean())
