"""How large a filter must be: exact false-positive rates, and the smallest filter that meets a target.

Everything here is for `hashes` independent uniform cells per key. The double hashing of `bloom.positions` differs
from that by a term of order 1 / cells (Kirsch and Mitzenmacher 2006, section 5).
"""

from __future__ import annotations

from bisect import bisect_left
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from math import ceil, comb, expm1, floor, log, log2

from bloom.errors import FilterError
from bloom.positions import MAX_CELLS, MAX_HASHES, check_shape

__all__ = [
    "approximate_false_positive_rate",
    "false_positive_rate",
    "occupancy",
    "optimal_cells",
    "optimal_hashes",
    "optimal_size",
]


def approximate_false_positive_rate(cells: int, hashes: int, keys: int) -> float:
    """The usual formula (1 - exp(-hashes keys / cells))^hashes. It is lower than the truth, most for small filters."""
    check_shape(cells, hashes)
    _check_keys(keys)
    return float((-expm1(-hashes * keys / cells)) ** hashes)


def false_positive_rate(cells: int, hashes: int, keys: int) -> float:
    """Exact P[an absent key is found] after `keys` keys. Raises FilterError.

    The rate is E[(X / cells)^hashes] over the number X of occupied cells (Bose et al. 2008). Instead of summing over
    X, take the other end: the probes of the absent key fall on d distinct cells, and by inclusion-exclusion P[d given
    cells are all occupied] = sum_j (-1)^j C(d, j) (1 - j / cells)^(hashes keys). That costs O(hashes^2) for any number
    of keys; enough digits are carried to outweigh the cancellation, so large filters need no approximation.
    """
    check_shape(cells, hashes)
    _check_keys(keys)
    if keys == 0:
        return 0.0
    with localcontext(Context(prec=_digits(cells, hashes, keys))):
        largest = min(cells, hashes)
        missed = [(1 - Decimal(j) / cells) ** (hashes * keys) for j in range(largest + 1)]
        hit = [sum((-1) ** j * comb(d, j) * missed[j] for j in range(d + 1)) for d in range(largest + 1)]
        ways = sum((way * p for way, p in zip(_ways(cells, hashes), hit, strict=True)), Decimal(0))
        return float(ways / Decimal(cells) ** hashes)


def occupancy(cells: int, balls: int) -> list[Fraction]:
    """Exact P[X = d], d = 0..min(cells, balls), for X the occupied cells after `balls` uniform throws; O(balls^2)."""
    return [Fraction(way, cells**balls) for way in _ways(cells, balls)]


def optimal_hashes(cells: int, keys: int) -> int:
    """Hashes with the lowest exact false-positive rate, about cells / keys ln 2; the fewest of equals."""
    return min(range(1, MAX_HASHES + 1), key=lambda hashes: false_positive_rate(cells, hashes, keys))


def optimal_cells(keys: int, rate: float, hashes: int) -> int:
    """Fewest cells whose exact false-positive rate is at most `rate`, 0 < rate < 1. Raises FilterError."""
    check_shape(1, hashes)
    _check_keys(keys, least=1)
    _check_rate(rate)
    sizes = range(1, MAX_CELLS + 1)
    fewest = bisect_left(sizes, True, key=lambda cells: false_positive_rate(cells, hashes, keys) <= rate)
    if fewest == len(sizes):
        raise FilterError(f"rate={rate} needs more than {MAX_CELLS} cells for {keys} keys; raise the rate")
    return sizes[fewest]


def optimal_size(keys: int, rate: float) -> tuple[int, int]:
    """Cells and hashes of the smallest filter for `keys` keys whose exact false-positive rate is at most `rate`."""
    _check_rate(rate)
    ideal = floor(-log2(rate))
    choices = {min(MAX_HASHES, max(1, ideal + offset)) for offset in (-1, 0, 1, 2)}
    return min((optimal_cells(keys, rate, hashes), hashes) for hashes in choices)


def _ways(cells: int, balls: int) -> list[int]:
    """Of the cells^balls sequences of throws, how many occupy exactly d cells, d = 0..min(cells, balls)."""
    ways = [1] + [0] * min(cells, balls)
    for _ in range(balls):
        for d in range(len(ways) - 1, 0, -1):
            ways[d] = ways[d] * d + ways[d - 1] * (cells - d + 1)
        ways[0] = 0
    return ways


def _digits(cells: int, hashes: int, keys: int) -> int:
    """Decimal digits that leave 30 correct ones: the rate is at least cells^-hashes, every term at most 2^hashes."""
    bits = hashes * (cells.bit_length() + 1) + (hashes * keys).bit_length()
    return 30 + ceil(bits * log(2, 10))


def _check_keys(keys: int, least: int = 0) -> None:
    if not least <= keys <= 2**64:
        raise FilterError(f"keys={keys} must be {least} to 2^64")


def _check_rate(rate: float) -> None:
    if not 0 < rate < 1:
        raise FilterError(f"rate={rate} must lie between 0 and 1, both excluded")
