"""Long-term identities: Ed25519 (RFC 8032). A registry that is not the server says which public keys are clients."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from securefl.crypto.errors import CryptoError
from securefl.crypto.private import Private
from securefl.transcript import Label, Part, encode


class Identity(Private):
    """A client's signing key. `public` is its name everywhere: 32 bytes."""

    __slots__ = ("_key", "public")

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public: bytes = key.public_key().public_bytes_raw()

    @classmethod
    def generate(cls) -> Identity:
        """A fresh identity from the operating system's randomness."""
        return cls(Ed25519PrivateKey.generate())

    def sign(self, label: Label, *parts: Part) -> bytes:
        """64-byte signature over the labelled encoding of the parts."""
        return self._key.sign(encode(label, *parts))


def verify(public: bytes, signature: bytes, label: Label, *parts: Part) -> None:
    """Raise `CryptoError` unless `signature` is `public`'s over exactly this label and these parts."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, encode(label, *parts))
    except (InvalidSignature, ValueError):
        raise CryptoError("the signature does not verify") from None
