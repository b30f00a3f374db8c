"""Bloom filters over 64-bit indices: exact sizing, one position function, a batch filter with a bounded encoding."""

from __future__ import annotations

from bloom.errors import FilterError
from bloom.filter import BloomFilter
from bloom.positions import MAX_CELLS, MAX_HASHES, positions
from bloom.sizing import (
    approximate_false_positive_rate,
    false_positive_rate,
    occupancy,
    optimal_cells,
    optimal_hashes,
    optimal_size,
)

__all__ = [
    "BloomFilter",
    "FilterError",
    "MAX_CELLS",
    "MAX_HASHES",
    "approximate_false_positive_rate",
    "false_positive_rate",
    "occupancy",
    "optimal_cells",
    "optimal_hashes",
    "optimal_size",
    "positions",
]
