"""The errors of the package. None carries an index or a residue."""

from __future__ import annotations

__all__ = ["UnionError", "PlanError", "EncodingError", "OversizedUnionError"]


class UnionError(ValueError):
    """Root of the package's errors."""


class PlanError(UnionError):
    """A plan cannot be made or read. The text names the setting and how to change it."""


class EncodingError(UnionError):
    """An index set or a vector of sums does not fit the plan."""


class OversizedUnionError(UnionError):
    """The union is larger than the caller's limit: a saturated filter, or a client that set every cell."""
