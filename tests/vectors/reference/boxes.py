"""Sealed boxes: HPKE base mode, single shot (RFC 9180). docs/spec/derivations.md, section 6.

The hybrid KEM is MLKEM768-X25519, id 0x647a (draft-ietf-hpke-pq; X-Wing's combiner).
"""

from __future__ import annotations

import hashlib
import hmac
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from reference.errors import CryptoError
from reference.transcript import hkdf_expand

KEMS = {"x25519": 0x0020, "x25519-mlkem768": 0x647A}
HKDF_SHA256, AES_256_GCM = 0x0001, 0x0002
PUBLIC_BYTES = {"x25519": 32, "x25519-mlkem768": 1184 + 32}
ENCAPSULATED_BYTES = {"x25519": 32, "x25519-mlkem768": 1088 + 32}


def public_key(kem: str, private: bytes) -> bytes:
    """`private`: 32 bytes of X25519; for the hybrid, ML-KEM's seed of 64 bytes before them."""
    curve = X25519PrivateKey.from_private_bytes(private[-32:]).public_key().public_bytes_raw()
    return curve if kem == "x25519" else _lattice(private).public_key().public_bytes_raw() + curve


def seal(kem: str, public: bytes, info: bytes, plain: bytes, ephemeral: bytes) -> bytes:
    """A box. `ephemeral`: a fresh X25519 private key. (ML-KEM's own randomness is the library's.)"""
    secret, encapsulated = _encapsulate(kem, public, ephemeral)
    key, nonce = _schedule(kem, secret, info)
    return encapsulated + AESGCM(key).encrypt(nonce, plain, b"")


def open_box(kem: str, private: bytes, info: bytes, box: bytes) -> bytes:
    at = ENCAPSULATED_BYTES[kem]
    try:
        key, nonce = _schedule(kem, _decapsulate(kem, private, box[:at]), info)
        return AESGCM(key).decrypt(nonce, box[at:], b"")
    except (InvalidTag, ValueError):
        raise CryptoError("the box does not open") from None


def _encapsulate(kem: str, public: bytes, ephemeral: bytes) -> tuple[bytes, bytes]:
    own, theirs = X25519PrivateKey.from_private_bytes(ephemeral), public[-32:]
    sent = own.public_key().public_bytes_raw()
    try:
        shared = own.exchange(X25519PublicKey.from_public_bytes(theirs))
        if kem == "x25519":
            return _dhkem(shared, sent, theirs), sent
        inner, ciphertext = MLKEM768PublicKey.from_public_bytes(public[:-32]).encapsulate()
    except ValueError:  # a low-order point, or coefficients that are not reduced
        raise CryptoError("the channel key is unusable") from None
    return _combine(inner, shared, sent, theirs), ciphertext + sent


def _decapsulate(kem: str, private: bytes, encapsulated: bytes) -> bytes:
    own, sent = X25519PrivateKey.from_private_bytes(private[-32:]), encapsulated[-32:]
    shared, public = own.exchange(X25519PublicKey.from_public_bytes(sent)), own.public_key().public_bytes_raw()
    if kem == "x25519":
        return _dhkem(shared, sent, public)
    return _combine(_lattice(private).decapsulate(encapsulated[:-32]), shared, sent, public)


def _lattice(private: bytes) -> MLKEM768PrivateKey:
    return MLKEM768PrivateKey.from_seed_bytes(private[:64])


def _dhkem(shared: bytes, sent: bytes, public: bytes) -> bytes:
    """RFC 9180, section 4.1."""
    suite = b"KEM" + struct.pack(">H", KEMS["x25519"])
    return _expand(_extract(b"", suite, b"eae_prk", shared), suite, b"shared_secret", sent + public, 32)


def _combine(inner: bytes, shared: bytes, sent: bytes, public: bytes) -> bytes:
    """X-Wing: ML-KEM's secret, X25519's, its ciphertext and public key, and six bytes of ASCII art."""
    return hashlib.sha3_256(inner + shared + sent + public + b"\\.//^\\").digest()


def _schedule(kem: str, secret: bytes, info: bytes) -> tuple[bytes, bytes]:
    """Key and nonce of the only message under a context: RFC 9180, section 5.1, mode base."""
    suite = b"HPKE" + struct.pack(">HHH", KEMS[kem], HKDF_SHA256, AES_256_GCM)
    context = b"\x00" + _extract(b"", suite, b"psk_id_hash", b"") + _extract(b"", suite, b"info_hash", info)
    prk = _extract(secret, suite, b"secret", b"")
    return _expand(prk, suite, b"key", context, 32), _expand(prk, suite, b"base_nonce", context, 12)


def _extract(salt: bytes, suite: bytes, label: bytes, material: bytes) -> bytes:
    return hmac.digest(salt, b"HPKE-v1" + suite + label + material, "sha256")


def _expand(prk: bytes, suite: bytes, label: bytes, info: bytes, size: int) -> bytes:
    return hkdf_expand(prk, struct.pack(">H", size) + b"HPKE-v1" + suite + label + info, size)
