"""Labels, the injective encoding, and the three primitives against other libraries' implementations."""

from __future__ import annotations

import hashlib
import hmac
import struct

import numpy as np
import pytest
from Crypto.Hash import TupleHash256
from hypothesis import given
from hypothesis import strategies as st

from native import ring
from securefl.transcript import Label, derive, digest, encode, transcript_hash

LABELS = st.sampled_from(Label)
PART = st.binary(max_size=40) | st.text(max_size=12) | st.integers(0, 2**64 - 1)
PARTS = st.lists(PART, max_size=6)


def as_bytes(part: bytes | str | int) -> bytes:
    if isinstance(part, int):
        return struct.pack(">Q", part)
    return part if isinstance(part, bytes) else part.encode()


def parse(encoded: bytes) -> list[bytes]:
    """The label and the parts of an encoding: that this function exists is what makes it injective."""
    parts = []
    while encoded:
        (size,) = struct.unpack_from(">I", encoded)
        parts.append(encoded[4 : 4 + size])
        encoded = encoded[4 + size :]
    return parts


def hkdf_expand(key: bytes, info: bytes, size: int) -> bytes:
    """RFC 5869, section 2.3."""
    out, block, count = b"", b"", 0
    while len(out) < size:
        count += 1
        block = hmac.digest(key, block + info + bytes((count,)), "sha256")
        out += block
    return out[:size]


def test_labels_are_distinct() -> None:
    values = [label.value for label in Label]
    assert len(set(values)) == len(values) == len(Label.__members__)


@given(LABELS, PARTS)
def test_an_encoding_reads_back_as_its_label_and_parts(label: Label, parts: list[bytes | str | int]) -> None:
    assert parse(encode(label, *parts)) == [label.value, *map(as_bytes, parts)]


@given(LABELS, LABELS, st.lists(st.binary(max_size=6), max_size=4), st.lists(st.binary(max_size=6), max_size=4))
def test_different_lists_have_different_encodings(one: Label, other: Label, a: list[bytes], b: list[bytes]) -> None:
    assert (encode(one, *a) == encode(other, *b)) == ((one, a) == (other, b))


@pytest.mark.parametrize("number", [-1, 2**64])
def test_a_number_that_does_not_fit_is_not_cut(number: int) -> None:
    with pytest.raises(OverflowError):
        encode(Label.ROW, number)


@given(LABELS, PARTS)
def test_digest_is_sha_256_of_the_encoding(label: Label, parts: list[bytes | str | int]) -> None:
    plain = b"".join(struct.pack(">I", len(p)) + p for p in [label.value, *map(as_bytes, parts)])
    assert digest(label, *parts) == hashlib.sha256(plain).digest()


@given(LABELS, PARTS)
def test_transcript_hash_is_tuple_hash_customised_by_the_label(label: Label, parts: list[bytes | str | int]) -> None:
    oracle = TupleHash256.new(digest_bytes=32, custom=label.value).update(*map(as_bytes, parts))
    assert transcript_hash(label, *parts) == oracle.digest()


def test_tuple_hash_is_that_of_sp_800_185() -> None:
    """The oracle itself: sample 5 of NIST's TupleHash samples."""
    strings = bytes.fromhex("000102"), bytes.fromhex("101112131415")
    hashed = TupleHash256.new(digest_bytes=64, custom=b"My Tuple App").update(*strings).digest()
    assert hashed.hex() == (
        "147c2191d5ed7efd98dbd96d7ab5a11692576f5fe2a5065f3e33de6bba9f3aa1"
        "c4e9a068a289c61c95aab30aee1e410b0b607de3620e24a4e3bf9852a1d4367e"
    )


@given(st.binary(min_size=32, max_size=32), LABELS, PARTS, st.integers(1, 200))
def test_derive_is_hkdf_expand(key: bytes, label: Label, parts: list[bytes | str | int], size: int) -> None:
    assert derive(key, label, *parts, size=size) == hkdf_expand(key, encode(label, *parts), size)


def stream_of(seed: bytes) -> np.ndarray:
    """4,096 bits of the dense mask stream of a seed."""
    keys = derive(seed, Label.STREAM, bytes(32), size=64)
    words = np.zeros(128, np.uint32)
    ring.add_streams(words, keys[32:])
    return np.unpackbits(words.view(np.uint8))


def test_b1_every_bit_of_a_seed_changes_half_of_its_stream() -> None:
    """Flips among 4,096 fair bits: outside 1,700 to 2,396 (10.9 standard deviations) less than once in 10^25."""
    seed = hashlib.sha256(b"avalanche").digest()
    base, number = stream_of(seed), int.from_bytes(seed, "big")
    for bit in range(256):
        flips = int((stream_of((number ^ 1 << bit).to_bytes(32, "big")) != base).sum())
        assert 1700 < flips < 2396
