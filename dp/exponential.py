"""Exact coins of probability e^-gamma, gamma rational: Canonne, Kamath, Steinke 2020 (arXiv 2004.00010), Algorithm 1.

Not constant-time: how many bytes are drawn tells something of what comes out, as for all rejection samplers.
"""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from dp.errors import PrivacyError
from dp.sampling import MAX_PASSES, Rng, uniform

__all__ = ["bernoulli_exp", "streak"]


def bernoulli_exp(numerators: NDArray[np.uint64], denominator: int, rng: Rng = os.urandom) -> NDArray[np.bool_]:
    """Independent coins, (n,), coin i true with probability exactly exp(-numerators[i] / denominator).

    `numerators` is uint64, (n,), 1 <= denominator <= 2^63. Raises PrivacyError if `rng` fails.
    """
    whole, rest = np.divmod(numerators, np.uint64(denominator))
    true: NDArray[np.bool_] = streak(whole, rng) == whole
    true[true] = _below_one(rest[true], denominator, rng)
    return true


def streak(limits: NDArray[np.uint64], rng: Rng = os.urandom) -> NDArray[np.uint64]:
    """How many coins of probability 1/e come up true in a row, each entry of (n,) counted up to its limit."""
    lengths = np.zeros_like(limits)
    active = np.flatnonzero(limits)
    while active.size:
        active = active[_below_one(np.ones(active.size, np.uint64), 1, rng)]
        lengths[active] += np.uint64(1)
        active = active[lengths[active] < limits[active]]
    return lengths


def _below_one(numerators: NDArray[np.uint64], denominator: int, rng: Rng) -> NDArray[np.bool_]:
    """`bernoulli_exp` for gamma in [0, 1].

    Draw coins of probability gamma / k for k = 1, 2, ... until one fails: an odd k is true. As two coins, gamma and
    1 / k, no denominator grows.
    """
    true = np.zeros(len(numerators), np.bool_)
    active = np.arange(len(numerators))
    for k in range(1, MAX_PASSES):
        if not active.size:
            return true
        on = (uniform(denominator, active.size, rng) < numerators[active]) & (uniform(k, active.size, rng) == 0)
        true[active[~on]] = k % 2 == 1
        active = active[on]
    raise PrivacyError("rng keeps returning the same bytes; use a source that works, such as os.urandom")
