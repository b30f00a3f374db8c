"""The one error of the package."""

from __future__ import annotations

__all__ = ["FilterError"]


class FilterError(ValueError):
    """A filter's setting, its keys or its bytes cannot be used. The text names which."""
