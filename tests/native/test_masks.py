"""Dense masks: every backend gives the reference's bits, the reference gives the standards'."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from words import KEY, TILE, bits, both_signs, every_backend, every_word, met, random_keys, random_words

from native import backends, reference, ring

BATCH = 8 * 4
"""Blocks in flight, in the widest backend."""
CHUNK = 256
"""Blocks that share their first two rounds."""


def test_reference_is_aes_256_ctr_of_sp_800_38a() -> None:
    """Section F.5.5: AES-256, counters from f0f1...ff."""
    key = bytes.fromhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
    pad = reference.stream(key, 4, first=0xF0F1F2F3F4F5F6F7F8F9FAFBFCFDFEFF)
    plain = bytes.fromhex(
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
        "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
    )
    assert bytes(a ^ b for a, b in zip(pad, plain, strict=True)) == bytes.fromhex(
        "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5"
        "2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6"
    )


# Block i = AES(key, i). Zero key: H, tag of test case 13 and ciphertext of 14 in the GCM specification (McGrew, Viega).
# The others: KeySbox of the AES known answer tests (AESAVS), plaintext zero.
KNOWN_STREAMS = [
    (
        "00" * 32,
        "dc95c078a2408989ad48a21492842087530f8afbc74536b9a963b4f1c4cb738bcea7403d4d606b6e074ec5d3baf39d18",
    ),
    ("c47b0294dbbbee0fec4757f22ffeee3587ca4730c3d33b691df38bab076bc558", "46f2fb342d6f0ab477476fc501242c5f"),
    ("28d46cffa158533194214a91e712fc2b45b518076675affd910edeca5f41ac64", "4bf3b0a69aeb6657794f2901b1440ad4"),
]


@every_backend
@pytest.mark.parametrize(("key", "blocks"), KNOWN_STREAMS, ids=["gcm", "key_sbox_0", "key_sbox_1"])
def test_known_streams(backend: str, key: str, blocks: str) -> None:
    words = np.zeros(len(blocks) // 8, np.uint32)
    ring.add_streams(words, bytes.fromhex(key), backend=backend)
    assert words.astype("<u4").tobytes().hex() == blocks


@every_backend
@every_word
@both_signs
def test_streams_of_every_length(backend: str, dtype: type, subtract: bool) -> None:
    whole = random_words((16 * (4 * BATCH + 1) // dtype().itemsize,), dtype)
    wanted = met(whole, reference.stream(KEY, 4 * BATCH + 1), subtract)
    for count in range(whole.size + 1):
        words = whole.copy()
        ring.add_streams(words[:count], KEY, subtract=subtract, backend=backend)
        assert (words[:count] == wanted[:count]).all()
        assert (words[count:] == whole[count:]).all()


@given(st.lists(st.integers(0, 2**32 - 1), max_size=70), st.binary(min_size=32, max_size=32), st.booleans())
def test_a_stream_is_that_of_the_reference(words: list[int], key: bytes, subtract: bool) -> None:
    out = np.array(words, np.uint32)
    ring.add_streams(out, key, subtract=subtract)
    assert out.tolist() == reference.add_stream(words, key, 32, subtract=subtract)


@every_backend
@every_word
def test_streams_at_any_address_stay_inside(backend: str, dtype: type) -> None:
    """The words before and after the slice are untouched, whatever its alignment to 16 bytes."""
    for start in range(4):
        for count in (1, 3, 31, 33, 65):
            whole = random_words((count + 8,), dtype)
            wanted = whole.tolist()
            wanted[start : start + count] = reference.add_stream(wanted[start : start + count], KEY, bits(dtype))
            ring.add_streams(whole[start : start + count], KEY, backend=backend)
            assert whole.tolist() == wanted


# ---- where a stream begins ----

LAST = 2**40
"""No stream has a block of this number."""


@every_backend
@pytest.mark.parametrize("first", [0, 1, 31, 200, 255, 256, 257, 2**16 - 40, 2**32 - 40, 2**39, LAST - 300])
def test_a_stream_from_any_block_on(backend: str, first: int) -> None:
    """Ends of a pipeline and of a chunk fall everywhere; the counter carries through its bytes."""
    pad = reference.stream(KEY, 300, first)
    for count in (0, 1, 5, 4 * 31, 4 * 255, 4 * 256, 4 * 257, 1200):
        words = random_words((count,), np.uint32)
        wanted = met(words, pad)
        ring.add_streams(words, KEY, first=first, backend=backend)
        assert (words == wanted).all()


@every_backend
@every_word
def test_parts_of_a_stream_make_the_whole(backend: str, dtype: type) -> None:
    per_block = 16 // dtype().itemsize
    whole = random_words((per_block * 3 * CHUNK + 1,), dtype)
    parts = whole.copy()
    ring.add_streams(whole, KEY, backend=backend)
    cuts = [0, 1, 3, 40, 255, 256, 300, 600, 3 * CHUNK + 1]
    for begin, end in pairwise(cuts):
        ring.add_streams(parts[begin * per_block : end * per_block], KEY, first=begin, backend=backend)
    assert (parts == whole).all()


@every_backend
def test_a_stream_longer_than_any_tile(backend: str) -> None:
    words = np.zeros(4 * (2**16 + 9), np.uint32)
    ring.add_streams(words, KEY, backend=backend)
    stream = words.astype("<u4").tobytes()
    for first in (0, 2**8 - 2, TILE // 16 - 2, 2**16 - 2):
        assert stream[16 * first : 16 * (first + 4)] == reference.stream(KEY, 4, first)


@pytest.mark.parametrize(("first", "blocks"), [(-1, 1), (LAST, 1), (LAST - 1, 2), (2**64, 0)])
def test_a_stream_ends(first: int, blocks: int) -> None:
    with pytest.raises(ring.RingError, match=r"first must be in 0\.\.2\*\*40 - "):
        ring.add_streams(np.zeros(4 * blocks, np.uint32), KEY, first=first)


# ---- many keys, many threads ----


@every_backend
@every_word
@pytest.mark.parametrize("count", [0, 1, 2, 31, 32, 33, 70])
def test_many_keys_are_one_after_the_other(backend: str, dtype: type, count: int) -> None:
    """Schedules are made for some dozens at a time."""
    words, keys = random_words((23,), dtype), random_keys(count)
    signs = np.random.default_rng(count).random(count) < 0.5
    wanted = words.tolist()
    for key, subtract in zip(keys, signs, strict=True):
        wanted = reference.add_stream(wanted, key, bits(dtype), first=7, subtract=bool(subtract))
    ring.add_streams(words, b"".join(keys), subtract=signs, first=7, backend=backend)
    assert words.tolist() == wanted


@every_backend
@pytest.mark.parametrize("threads", [2, 3, 64])
@pytest.mark.parametrize("nbytes", [0, 4, TILE - 4, TILE, TILE + 4, 5 * TILE + 20])
def test_threads_change_nothing(backend: str, threads: int, nbytes: int) -> None:
    words, keys = random_words((nbytes // 4,), np.uint32), b"".join(random_keys(2))
    signs, wanted = np.array([False, True]), words.copy()
    ring.add_streams(wanted, keys, subtract=signs, first=3, backend=backend)
    ring.add_streams(words, keys, subtract=signs, first=3, threads=threads, backend=backend)
    assert (words == wanted).all()


# ---- backends and refusals ----


def test_the_library_is_always_there_and_last() -> None:
    assert backends()[-1] == "cryptography"
    assert len(set(backends())) == len(backends())


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"out": np.zeros(4, np.int32)}, "1-D uint32 or uint64"),
        ({"out": np.zeros(4, ">u4")}, "1-D uint32 or uint64"),
        ({"out": np.zeros((2, 2), np.uint32)}, "not 2-D"),
        ({"out": np.zeros(8, np.uint32)[::2]}, "C-contiguous"),
        ({"out": np.frombuffer(bytes(16), np.uint32)}, "writable"),
        ({"out": np.frombuffer(bytearray(17), np.uint8)[1:].view(np.uint32)}, "aligned"),
        ({"keys": KEY[:31]}, "keys must have 32 bytes each, not 31 in all"),
        ({"keys": KEY + b"1"}, "keys must have 32 bytes each, not 33 in all"),
        ({"subtract": np.array([True, False])}, r"subtract must be a bool or 1 bools"),
        ({"subtract": 1}, r"subtract must be a bool or 1 bools"),
        ({"threads": 0}, r"threads must be in 1\.\.64, not 0"),
        ({"threads": 65}, r"threads must be in 1\.\.64, not 65"),
        ({"backend": "quantum"}, "choose one of"),
    ],
)
def test_bad_arguments_of_streams(changed: dict[str, object], sentence: str) -> None:
    arguments = {"out": np.zeros(4, np.uint32), "keys": KEY, "backend": None} | changed
    before = arguments["out"].copy()
    with pytest.raises(ring.RingError, match=sentence):
        ring.add_streams(**arguments)
    assert (arguments["out"] == before).all()
