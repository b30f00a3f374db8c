"""What the tests of moduli are made of."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from native.field import P61, backends

PRIMES = [2**31 - 1, 2**31 + 11, 2**32 - 5, 2**32 + 15, 2**52 - 47, 2**52 + 21, P61, 2**63 - 25, 2**63 + 29, 2**64 - 59]
COMPOSITES = [2**32 + 1, 2**52 - 1, 2**63 - 1, 2**63 + 1, 2**64 - 3, 2**64 - 1]
SMALL = [3, 5, 7, 9, 15, 21]
LANES = 8
BLOCK = 8 * LANES
"""Residues that a kernel takes at a time."""


def on_every_backend(moduli: list[int]) -> pytest.MarkDecorator:
    """Parameters m and backend: every modulus with every arithmetic that serves it."""
    return pytest.mark.parametrize(("m", "backend"), [(m, name) for m in moduli for name in backends(m)])


def vector(values: list[int]) -> np.ndarray:
    return np.array(values, np.uint64)


def edges(m: int) -> list[int]:
    """Residues where a carry, a borrow or a reduction may go wrong, and some others."""
    near = {0, 1, 2, m // 2, m // 2 + 1, m - 2, m - 1, 2**32 % m, 2**63 % m, 2**64 % m, 2**128 % m, -(2**64) % m}
    return [*near, *(Random(m).randrange(m) for _ in range(9))]


def residues(m: int, count: int, seed: int = 0) -> list[int]:
    """The largest, the smallest, then uniform ones."""
    rng = Random(m + seed)
    return ([m - 1, 0, 1] + [rng.randrange(m) for _ in range(count)])[:count]
