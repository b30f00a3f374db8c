"""What can be wrong with a model or its inputs. All are configuration errors: the caller can mend them."""

from __future__ import annotations

from securefl.errors import ConfigurationError

__all__ = ["InputError", "ModelError", "UnsupportedOperatorError"]


class ModelError(ConfigurationError):
    """A model file or graph is damaged, hostile or outside the limits."""


class UnsupportedOperatorError(ModelError):
    """A model uses an operator, or a variant of one, that is not implemented."""


class InputError(ConfigurationError):
    """An array given to a session has not the name, shape, dtype or range that the model asks for."""
