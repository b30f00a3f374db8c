"""Sealed boxes: HPKE base mode (RFC 9180) with X25519, or with X25519 and ML-KEM-768 together.

The hybrid is the default of the protocol: masked uploads recorded today must not open when X25519 falls.
Base mode does not authenticate the sender; the protocol signs every bundle for that.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
)
from cryptography.hazmat.primitives.hpke import Suite as Hpke

from securefl.crypto.errors import CryptoError
from securefl.crypto.private import Private
from securefl.errors import ConfigurationError

X25519_BYTES = 32
MLKEM768_BYTES = 1184

_PrivateKey = X25519PrivateKey | MLKEM768X25519PrivateKey
_PublicKey = X25519PublicKey | MLKEM768X25519PublicKey


class ChannelKey(Private):
    """A session's decryption key. It is never shared, and leaves the client only in a suspended session."""

    __slots__ = ("_hpke", "_key", "_private", "public", "suite")

    def __init__(self, suite: Suite, key: _PrivateKey, private: bytes, public: bytes) -> None:
        self._hpke, self._key, self._private = suite.hpke, key, private
        self.suite, self.public = suite.name, public

    def suspend(self) -> bytes:
        """The private bytes, for `Suite.restore`."""
        return self._private

    def open(self, box: bytes, info: bytes) -> bytes:
        """The plaintext of a box sealed to this key under the same `info`; `CryptoError` otherwise."""
        try:
            return self._hpke.decrypt(box, self._key, info)
        except (InvalidTag, ValueError):
            raise CryptoError("the box does not open") from None


class Suite(ABC):
    """One KEM with HKDF-SHA256 and AES-256-GCM. `public_bytes` and `overhead` are sizes in bytes."""

    name: str
    public_bytes: int
    overhead: int
    _kem: KEM

    def __init__(self) -> None:
        self.hpke = Hpke(self._kem, KDF.HKDF_SHA256, AEAD.AES_256_GCM)

    @abstractmethod
    def generate(self) -> ChannelKey:
        """A fresh key from the operating system's randomness."""

    @abstractmethod
    def restore(self, private: bytes) -> ChannelKey:
        """The key of `ChannelKey.suspend`; `CryptoError` for other bytes."""

    def seal(self, public: bytes, info: bytes, plaintext: bytes) -> bytes:
        """A box for the holder of `public`, bound to `info`; `CryptoError` if `public` is no usable key."""
        try:
            return self.hpke.encrypt(plaintext, self._load(public), info)
        except ValueError:
            raise CryptoError("the channel key is unusable") from None

    @abstractmethod
    def _load(self, public: bytes) -> _PublicKey: ...


class X25519Suite(Suite):
    """DHKEM(X25519): small and fast, open to a future quantum adversary."""

    name, public_bytes, overhead, _kem = "x25519", X25519_BYTES, 48, KEM.X25519

    def generate(self) -> ChannelKey:
        """A fresh X25519 key."""
        return self._channel(X25519PrivateKey.generate())

    def restore(self, private: bytes) -> ChannelKey:
        """See `Suite`."""
        try:
            return self._channel(X25519PrivateKey.from_private_bytes(private))
        except ValueError:
            raise CryptoError("these are no private bytes of this suite") from None

    def _channel(self, key: X25519PrivateKey) -> ChannelKey:
        return ChannelKey(self, key, key.private_bytes_raw(), key.public_key().public_bytes_raw())

    def _load(self, public: bytes) -> _PublicKey:
        return X25519PublicKey.from_public_bytes(public)


class HybridSuite(Suite):
    """ML-KEM-768 with X25519: a box opens only if both are broken. Public key: ML-KEM's bytes, then X25519's."""

    name, public_bytes, overhead, _kem = "x25519-mlkem768", MLKEM768_BYTES + X25519_BYTES, 1136, KEM.MLKEM768_X25519

    def generate(self) -> ChannelKey:
        """A fresh pair of keys."""
        return self._channel(MLKEM768PrivateKey.generate(), X25519PrivateKey.generate())

    def restore(self, private: bytes) -> ChannelKey:
        """See `Suite`."""
        try:
            lattice, curve = private[:-X25519_BYTES], private[-X25519_BYTES:]
            return self._channel(
                MLKEM768PrivateKey.from_seed_bytes(lattice), X25519PrivateKey.from_private_bytes(curve)
            )
        except ValueError:
            raise CryptoError("these are no private bytes of this suite") from None

    def _channel(self, lattice: MLKEM768PrivateKey, curve: X25519PrivateKey) -> ChannelKey:
        private = lattice.private_bytes_raw() + curve.private_bytes_raw()
        public = lattice.public_key().public_bytes_raw() + curve.public_key().public_bytes_raw()
        return ChannelKey(self, MLKEM768X25519PrivateKey(lattice, curve), private, public)

    def _load(self, public: bytes) -> _PublicKey:
        lattice, curve = public[:MLKEM768_BYTES], public[MLKEM768_BYTES:]
        return MLKEM768X25519PublicKey(
            MLKEM768PublicKey.from_public_bytes(lattice), X25519PublicKey.from_public_bytes(curve)
        )


SUITES: Mapping[str, Suite] = MappingProxyType({s.name: s for s in (X25519Suite(), HybridSuite())})
"""The suites by name."""


def suite(name: str) -> Suite:
    """The suite called `name`; `ConfigurationError` names the choices."""
    if name not in SUITES:
        raise ConfigurationError(f"kem: unknown; use one of {', '.join(SUITES)}")
    return SUITES[name]
