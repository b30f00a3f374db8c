"""The one error of this layer."""

from __future__ import annotations

from securefl.errors import MessageError


class CryptoError(MessageError):
    """A key, signature or box from the other side is not what it should be. The text holds none of its bytes."""
