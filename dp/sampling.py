"""Exact random choices from random bytes: uniform integers by rejection, and coins of rational bias. No floats."""

from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction
from math import lcm
from numbers import Rational

import numpy as np
from numpy.typing import NDArray

from dp.errors import PrivacyError

__all__ = ["MAX_DENOMINATOR", "Rng", "uniform", "bernoulli", "bernoulli_where"]

Rng = Callable[[int], bytes]
"""A source of randomness: `rng(n)` returns n uniform bytes."""

MAX_DENOMINATOR = 2**63
"""Largest common denominator of the coins of one stage."""
MAX_PASSES = 256
"""A pass accepts each word with probability above 1/2: this many failures in a row mean a broken source."""


def uniform(bound: int, count: int, rng: Rng = os.urandom) -> NDArray[np.uint64]:
    """`count` exactly uniform integers in [0, bound), 1 <= bound <= 2^64. Raises PrivacyError if `rng` fails."""
    if not (1 <= bound <= 2**64 and count >= 0):
        raise PrivacyError(f"bound={bound} must be 1 to 2^64, and count={count} 0 or more")
    bits = (bound - 1).bit_length()
    values = np.zeros(count, dtype=np.uint64)
    missing = np.arange(count if bits else 0)
    for _ in range(MAX_PASSES):
        if not missing.size:
            return values
        words = _words(bits, missing.size, rng)
        accepted = words <= np.uint64(bound - 1)
        values[missing[accepted]] = words[accepted]
        missing = missing[~accepted]
    raise PrivacyError("rng keeps returning the same bytes; use a source that works, such as os.urandom")


def bernoulli(p: Fraction, count: int, rng: Rng = os.urandom) -> NDArray[np.bool_]:
    """`count` independent coins, (count,), each true with probability exactly p. Raises PrivacyError."""
    denominator = common_denominator(p)
    return uniform(denominator, count, rng) < np.uint64(_numerator(p, denominator))


def bernoulli_where(
    condition: NDArray[np.bool_], p_true: Fraction, p_false: Fraction, rng: Rng = os.urandom
) -> NDArray[np.bool_]:
    """Independent coins, (n,), one per entry of `condition`: true with exactly `p_true` where it holds, else `p_false`.

    How many bytes are drawn, and how often, does not depend on `condition`. Raises PrivacyError.
    """
    denominator = common_denominator(p_true, p_false)
    thresholds = [np.uint64(_numerator(p, denominator)) for p in (p_false, p_true)]
    draws = uniform(denominator, len(condition), rng)
    return draws < np.where(condition, thresholds[1], thresholds[0])


def common_denominator(*probabilities: Fraction) -> int:
    """Least common denominator of the coins of one stage. Raises PrivacyError above MAX_DENOMINATOR."""
    for p in probabilities:
        if not isinstance(p, Rational):
            raise PrivacyError(f"p={p} must be a Fraction: a float is not the probability you wrote")
    denominator = lcm(*(p.denominator for p in probabilities))
    if denominator > MAX_DENOMINATOR:
        raise PrivacyError("the probabilities' common denominator exceeds 2^63; give them fewer digits")
    return denominator


def _numerator(p: Fraction, denominator: int) -> int:
    if not 0 <= p <= 1:
        raise PrivacyError(f"p={p} must be a probability, 0 to 1")
    return int(p * denominator)


def _words(bits: int, count: int, rng: Rng) -> NDArray[np.uint64]:
    """`count` uniform words of `bits` bits, little-endian, from one call."""
    size = next(size for size in (1, 2, 4, 8) if bits <= 8 * size)
    data = rng(size * count)
    if len(data) != size * count:
        raise PrivacyError(f"rng returned {len(data)} bytes for {size * count}")
    words = np.frombuffer(data, dtype=f"<u{size}").astype(np.uint64)
    return words & np.uint64(2**bits - 1)
