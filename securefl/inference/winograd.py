"""Winograd's minimal filtering F(n, k) for any n and k, exactly: matrices of fractions (Lavin, Gray 2016; Toom-Cook).

F(n, k) computes n outputs of a correlation with k taps by n + k - 1 products: A^T [(G g) * (B^T d)].
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import prod

import numpy as np
from numpy.typing import NDArray

__all__ = ["Winograd", "winograd"]

POINTS = tuple(Fraction(p) for p in ("0", "1", "-1", "2", "-2", "1/2", "-1/2", "4", "-4"))
"""Small points keep rounding small; after 0 they come in pairs p, -p, which the transforms use."""


@dataclass(frozen=True)
class Winograd:
    """The matrices of F(tile, kernel), size = tile + kernel - 1."""

    tile: int
    kernel: int
    input: tuple[tuple[Fraction, ...], ...]
    """B^T, (size, size)."""
    filter: tuple[tuple[Fraction, ...], ...]
    """G, (size, kernel)."""
    output: tuple[tuple[Fraction, ...], ...]
    """A^T, (tile, size)."""

    @property
    def size(self) -> int:
        """Products, and inputs of a tile."""
        return self.tile + self.kernel - 1

    @property
    def pairs(self) -> int:
        """Points 1 + 2i and 2 + 2i, i < pairs, are opposite; 0 if not all are in pairs: then nothing can be shared."""
        return (self.size - 2) // 2 if self.size % 2 == 0 else 0


def floats(matrix: Sequence[Sequence[Fraction]]) -> NDArray[np.float32]:
    """As float32."""
    return np.array([[float(item) for item in row] for row in matrix], np.float32)


@cache
def winograd(tile: int, kernel: int) -> Winograd:
    """F(tile, kernel); at most ten products. Raises ValueError."""
    count = tile + kernel - 2
    if tile < 1 or kernel < 1 or count < 1 or count > len(POINTS):
        raise ValueError(f"F({tile}, {kernel}) needs {count} points; 1 to {len(POINTS)} are known")
    points = POINTS[:count]
    evaluate = [[p**j for j in range(tile)] for p in points] + [_last(tile)]
    scales = [prod((p - q for q in points if q != p), start=Fraction(1)) for p in points]
    filters = [[p**j / scale for j in range(kernel)] for p, scale in zip(points, scales, strict=True)] + [_last(kernel)]
    inputs = [_padded(_polynomial([q for q in points if q != p]), count + 1) for p in points] + [_polynomial(points)]
    return Winograd(tile, kernel, _frozen(inputs), _frozen(filters), _frozen(zip(*evaluate, strict=True)))


def _last(length: int) -> list[Fraction]:
    """The point at infinity: only the highest power counts."""
    return [Fraction(0)] * (length - 1) + [Fraction(1)]


def _polynomial(roots: Sequence[Fraction]) -> list[Fraction]:
    """Coefficients, constant first, of the product of (x - root)."""
    result = [Fraction(1)]
    for root in roots:
        shifted, scaled = [Fraction(0), *result], [*(-root * c for c in result), Fraction(0)]
        result = [a + b for a, b in zip(shifted, scaled, strict=True)]
    return result


def _padded(row: list[Fraction], length: int) -> list[Fraction]:
    return row + [Fraction(0)] * (length - len(row))


def _frozen(rows: Iterable[Iterable[Fraction]]) -> tuple[tuple[Fraction, ...], ...]:
    return tuple(map(tuple, rows))
