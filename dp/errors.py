"""The errors of the package. None carries an index or an answer."""

from __future__ import annotations

__all__ = ["PrivacyError", "MemoError", "BudgetExceededError"]


class PrivacyError(ValueError):
    """A privacy parameter, an index set or a source of randomness cannot be used. The text names which."""


class MemoError(PrivacyError):
    """A memo contradicts itself: nothing may be sent on its answers."""


class BudgetExceededError(PrivacyError):
    """A release would cost more than the budget allows: it must not leave, and nothing was charged."""
