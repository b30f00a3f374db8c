"""Boxes and identities: they open for whom they were sealed, and nothing else is accepted."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from securefl.crypto import SUITES, ChannelKey, CryptoError, Identity, Suite, suite, verify
from securefl.errors import ConfigurationError
from securefl.transcript import Label

every_suite = pytest.mark.parametrize("kem", SUITES.values(), ids=list(SUITES))
INFO, PLAIN = b"session, dealer, holder", b"shares"

P = 2**255 - 19
ORDER_EIGHT = (  # both x-coordinates of points of order eight
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
)
LOW_ORDER = [0, 1, *ORDER_EIGHT, P - 1, P, P + 1]


def key_and_box(kem: Suite, plain: bytes = PLAIN) -> tuple[ChannelKey, bytes]:
    key = kem.generate()
    return key, kem.seal(key.public, INFO, plain)


@every_suite
@settings(max_examples=20)
@given(plain=st.binary(max_size=900), info=st.binary(max_size=80))
def test_what_is_sealed_opens_and_has_the_declared_size(kem: Suite, plain: bytes, info: bytes) -> None:
    key = kem.generate()
    box = kem.seal(key.public, info, plain)
    assert key.open(box, info) == plain
    assert (len(key.public), len(box)) == (kem.public_bytes, kem.overhead + len(plain))


@every_suite
def test_no_two_boxes_are_alike(kem: Suite) -> None:
    """B6: the nonce cannot repeat, since every box has a key of its own."""
    key = kem.generate()
    boxes = {kem.seal(key.public, INFO, PLAIN) for _ in range(20)}
    assert len(boxes) == len({box[-22:] for box in boxes}) == 20


def extract(who: bytes, salt: bytes, label: bytes, secret: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + who + label + secret, "sha256")


def expand(who: bytes, prk: bytes, label: bytes, context: bytes, size: int) -> bytes:
    info = size.to_bytes(2, "big") + b"HPKE-v1" + who + label + context
    return hmac.digest(prk, info + b"\1", "sha256")[:size]


def open_by_rfc_9180(kem_id: bytes, shared: bytes, sealed: bytes, info: bytes) -> bytes:
    """Base mode with HKDF-SHA256 and AES-256-GCM, from the text of section 5.1."""
    who = b"HPKE" + kem_id + b"\0\1\0\2"
    context = b"\0" + extract(who, b"", b"psk_id_hash", b"") + extract(who, b"", b"info_hash", info)
    prk = extract(who, shared, b"secret", b"")
    key, nonce = expand(who, prk, b"key", context, 32), expand(who, prk, b"base_nonce", context, 12)
    return AESGCM(key).decrypt(nonce, sealed, b"")


def test_the_x25519_suite_is_that_of_rfc_9180() -> None:
    curve = X25519PrivateKey.generate()
    public = curve.public_key().public_bytes_raw()
    box = suite("x25519").seal(public, INFO, PLAIN)
    exchanged = curve.exchange(X25519PublicKey.from_public_bytes(box[:32]))
    prk = extract(b"KEM\0\x20", b"", b"eae_prk", exchanged)
    shared = expand(b"KEM\0\x20", prk, b"shared_secret", box[:32] + public, 32)
    assert open_by_rfc_9180(b"\0\x20", shared, box[32:], INFO) == PLAIN


def test_the_hybrid_suite_is_x_wing() -> None:
    """draft-connolly-cfrg-xwing-kem as a KEM of HPKE: both secrets, the curve's two public keys, and a label."""
    lattice, curve = MLKEM768PrivateKey.generate(), X25519PrivateKey.generate()
    public = lattice.public_key().public_bytes_raw() + curve.public_key().public_bytes_raw()
    box = suite("x25519-mlkem768").seal(public, INFO, PLAIN)
    sender = box[1088:1120]
    exchanged = curve.exchange(X25519PublicKey.from_public_bytes(sender))
    shared = hashlib.sha3_256(lattice.decapsulate(box[:1088]) + exchanged + sender + public[-32:] + b"\\.//^\\")
    assert open_by_rfc_9180(b"\x64\x7a", shared.digest(), box[1120:], INFO) == PLAIN


@every_suite
@pytest.mark.parametrize("info", [b"", INFO[:-1], INFO + b"\0", b"another context"])
def test_b6_another_context_does_not_open(kem: Suite, info: bytes) -> None:
    key, box = key_and_box(kem)
    with pytest.raises(CryptoError, match="does not open"):
        key.open(box, info)


@every_suite
def test_b6_another_key_does_not_open(kem: Suite) -> None:
    _, box = key_and_box(kem)
    with pytest.raises(CryptoError):
        kem.generate().open(box, INFO)


@every_suite
@settings(max_examples=100)
@given(at=st.integers(0, 2**14), bit=st.integers(0, 7))
def test_b6_a_box_with_one_bit_flipped_does_not_open(kem: Suite, at: int, bit: int) -> None:
    key, box = key_and_box(kem)
    tampered = bytearray(box)
    tampered[at % len(box)] ^= 1 << bit
    with pytest.raises(CryptoError):
        key.open(bytes(tampered), INFO)


@every_suite
def test_b6_a_cut_or_longer_box_does_not_open(kem: Suite) -> None:
    key, box = key_and_box(kem)
    for changed in [box[:size] for size in range(len(box))] + [box + b"\0", b"\0" + box, box + box]:
        with pytest.raises(CryptoError):
            key.open(changed, INFO)


@pytest.mark.parametrize("point", LOW_ORDER)
@pytest.mark.parametrize("top_bit", [0, 1 << 255], ids=["", "top bit"])
@every_suite
def test_a9_a_low_order_point_is_refused(kem: Suite, point: int, top_bit: int) -> None:
    curve = (point | top_bit).to_bytes(32, "little")
    with pytest.raises(CryptoError, match="unusable"):
        kem.seal(kem.generate().public[:-32] + curve, INFO, PLAIN)


@every_suite
def test_a_channel_key_of_another_length_is_refused(kem: Suite) -> None:
    public = kem.generate().public
    for wrong in (b"", public[:-1], public + b"\0", public * 2, public[:32] if len(public) > 32 else bytes(1216)):
        with pytest.raises(CryptoError, match="unusable"):
            kem.seal(wrong, INFO, PLAIN)


def test_a_lattice_key_out_of_range_is_refused() -> None:
    """FIPS 203, section 7.2: coefficients of an encapsulation key are below 3329."""
    hybrid = suite("x25519-mlkem768")
    with pytest.raises(CryptoError, match="unusable"):
        hybrid.seal(b"\xff" * 1152 + hybrid.generate().public[1152:], INFO, PLAIN)


def test_an_unknown_suite_is_named_with_the_choices() -> None:
    with pytest.raises(ConfigurationError, match="kem: unknown; use one of x25519, x25519-mlkem768"):
        suite("rot13")


def test_a_signature_is_over_the_label_and_every_part() -> None:
    one, other = Identity.generate(), Identity.generate()
    signature = one.sign(Label.ADVERT, b"a", 7)
    verify(one.public, signature, Label.ADVERT, b"a", 7)
    changed = bytes((signature[0] ^ 1,)) + signature[1:]
    for wrong in (
        (other.public, signature, Label.ADVERT, b"a", 7),
        (one.public, changed, Label.ADVERT, b"a", 7),
        (one.public, signature[:-1], Label.ADVERT, b"a", 7),
        (one.public, signature, Label.BUNDLE, b"a", 7),
        (one.public, signature, Label.ADVERT, b"a", 8),
        (one.public, signature, Label.ADVERT, b"a"),
        (one.public, signature, Label.ADVERT, b"a", 7, b""),
        (one.public[:-1], signature, Label.ADVERT, b"a", 7),
        (b"\xff" * 32, signature, Label.ADVERT, b"a", 7),
    ):
        with pytest.raises(CryptoError, match="does not verify"):
            verify(*wrong)


def test_identities_sign_with_ed25519() -> None:
    """RFC 8032 signatures are deterministic: the library's own key signs the same."""
    secret = hashlib.sha256(b"an identity").digest()
    key = Ed25519PrivateKey.from_private_bytes(secret)
    encoded = b"\0\0\0\x12securefl/v1/bundle\0\0\0\2hi"
    assert Identity(key).sign(Label.BUNDLE, b"hi") == key.sign(encoded)
    assert Identity(key).public == key.public_key().public_bytes_raw()
