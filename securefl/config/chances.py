"""How many of a cohort: binomial tails for any size, to about ten digits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["at_least", "usual_survivors"]

USUAL = 0.01
"""Share of rounds that may have fewer survivors than the malicious setting asks for by default."""


def at_least(n: int, p: float, k: int) -> float:
    """P[Binomial(n, p) >= k]."""
    return min(1.0, float(_law(n, p)[max(k, 0) :].sum()))


def usual_survivors(clients: int, stay: float) -> int:
    """The most survivors that can be asked for so that at most one round in 100 has fewer."""
    return int(np.searchsorted(np.cumsum(_law(clients, stay)[:-1]), USUAL, side="right"))


def _law(n: int, p: float) -> NDArray[np.float64]:
    """P[k], (n + 1,): ratios of neighbours, added as logarithms from the likeliest value, so that nothing overflows."""
    if p in (0.0, 1.0):
        sure = np.zeros(n + 1)
        sure[round(n * p)] = 1.0
        return sure
    k = np.arange(n)
    steps = np.log(n - k) - np.log(k + 1) + np.log(p) - np.log1p(-p)
    logs = np.concatenate([[0.0], np.cumsum(steps)])
    weights = np.exp(logs - logs.max())
    law: NDArray[np.float64] = weights / weights.sum()
    return law
