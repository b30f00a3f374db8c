"""Thin wrappers over `cryptography`: identities (Ed25519), sealed boxes (HPKE), and values that must not escape."""

from __future__ import annotations

from securefl.crypto.errors import CryptoError
from securefl.crypto.identity import Identity, verify
from securefl.crypto.private import Private
from securefl.crypto.sealing import SUITES, ChannelKey, Suite, suite

__all__ = ["CryptoError", "Identity", "verify", "Private", "SUITES", "ChannelKey", "Suite", "suite"]
