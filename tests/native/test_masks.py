"""Masks: every backend gives the reference's bits, the reference gives the standards'."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from native import backends, reference, ring

WORDS = (np.uint32, np.uint64)
LANES = 8
LENGTHS = range(4 * 4 * LANES + 2)  # four pipelines of 32-bit words and one word more
KEY, OTHER_KEY = bytes(range(32)), bytes(range(32, 64))
every_backend = pytest.mark.parametrize("backend", backends())
every_word = pytest.mark.parametrize("dtype", WORDS, ids=lambda dtype: dtype.__name__)
both_signs = pytest.mark.parametrize("subtract", [False, True], ids=["add", "subtract"])


def random_words(shape: tuple[int, ...], dtype: type, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def random_digests(rows: int) -> np.ndarray:
    return random_words((rows, 32), np.uint8, seed=1)


def bits(dtype: type) -> int:
    return np.iinfo(dtype).bits


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
    ring.add_stream(words, bytes.fromhex(key), backend=backend)
    assert words.astype("<u4").tobytes().hex() == blocks


@every_backend
@every_word
@both_signs
def test_stream_of_every_length(backend: str, dtype: type, subtract: bool) -> None:
    for count in LENGTHS:
        words = random_words((count,), dtype)
        wanted = reference.add_stream(words.tolist(), KEY, bits(dtype), subtract=subtract)
        ring.add_stream(words, KEY, subtract=subtract, backend=backend)
        assert words.tolist() == wanted


@every_backend
@every_word
def test_stream_at_any_offset_stays_inside(backend: str, dtype: type) -> None:
    """The words before and after the slice are untouched, whatever its alignment to 16 bytes."""
    for start in range(4):
        for count in (1, 3, 31, 33, 65):
            whole = random_words((count + 8,), dtype)
            wanted = whole.tolist()
            wanted[start : start + count] = reference.add_stream(wanted[start : start + count], KEY, bits(dtype))
            ring.add_stream(whole[start : start + count], KEY, backend=backend)
            assert whole.tolist() == wanted


@every_backend
def test_the_counter_carries_through_its_bytes(backend: str) -> None:
    """Blocks around 2^8 and 2^16 of a stream that is longer than any chunk."""
    words = np.zeros(4 * (2**16 + 9), np.uint32)
    ring.add_stream(words, KEY, backend=backend)
    stream = words.astype("<u4").tobytes()
    for first in (0, 2**8 - 2, 2**12 - 2, 2**16 - 2):
        assert stream[16 * first : 16 * (first + 4)] == reference.stream(KEY, 4, first)


@every_backend
@every_word
@both_signs
@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 7, 19, 33, 35, 70])
def test_rows_of_every_number(backend: str, dtype: type, subtract: bool, width: int) -> None:
    for rows in (0, 1, 2, 7, 8, 9, 15, 16, 19):
        out, digests = random_words((rows, width), dtype), random_digests(rows)
        wanted = reference.add_row_streams(
            out.tolist(), KEY, OTHER_KEY, [bytes(d) for d in digests], bits(dtype), subtract=subtract
        )
        ring.add_row_streams(out, KEY, OTHER_KEY, digests, subtract=subtract, backend=backend)
        assert out.tolist() == wanted


@every_backend
@every_word
@both_signs
@pytest.mark.parametrize("index", [[], [0], [39], list(range(3, 40, 4)), Random(7).sample(range(40), 29)], ids=len)
def test_only_the_rows_of_the_index(backend: str, dtype: type, subtract: bool, index: list[int]) -> None:
    out, digests = random_words((40, 19), dtype), random_digests(40)
    wanted = reference.add_row_streams(
        out.tolist(), KEY, OTHER_KEY, [bytes(d) for d in digests], bits(dtype), index=index, subtract=subtract
    )
    ring.add_row_streams(
        out, KEY, OTHER_KEY, digests, index=np.array(index, np.int64), subtract=subtract, backend=backend
    )
    assert out.tolist() == wanted


@every_backend
def test_rows_of_no_words(backend: str) -> None:
    ring.add_row_streams(np.empty((9, 0), np.uint32), KEY, OTHER_KEY, random_digests(9), backend=backend)


@every_backend
@pytest.mark.parametrize("rows", [1, 8])
def test_the_longest_row(backend: str, rows: int) -> None:
    """2^16 blocks, alone and in a full group; one word more is refused."""
    width = 4 * 2**16
    out, digests = np.zeros((rows, width), np.uint32), random_digests(rows)
    ring.add_row_streams(out, KEY, OTHER_KEY, digests, backend=backend)
    pad = reference.row_stream(KEY, OTHER_KEY, bytes(digests[-1]), 257)
    last = out[-1].astype("<u4").tobytes()
    assert last[: len(pad)] == pad
    assert last[-16:] == reference.aes(OTHER_KEY, tag(bytes(digests[-1])) + b"\xff\xff")
    with pytest.raises(ring.RingError, match="more than 2\\*\\*16 blocks"):
        ring.add_row_streams(np.zeros((rows, width + 1), np.uint32), KEY, OTHER_KEY, digests, backend=backend)


def tag(digest: bytes) -> bytes:
    inner = reference.aes(KEY, digest[:16])
    return reference.aes(KEY, bytes(a ^ b for a, b in zip(inner, digest[16:], strict=True)))[:14]


@every_backend
@every_word
def test_two_parties_cancel_and_a_changed_digest_does_not(backend: str, dtype: type) -> None:
    out, digests = random_words((20, 19), dtype), random_digests(20)
    original = out.copy()
    changed = digests.copy()
    changed[5, 31] ^= 1
    ring.add_row_streams(out, KEY, OTHER_KEY, digests, backend=backend)
    assert (out != original).any(axis=1).all()
    ring.add_row_streams(out, KEY, OTHER_KEY, changed, subtract=True, backend=backend)
    assert [j for j in range(20) if (out[j] != original[j]).any()] == [5]


def test_the_library_is_always_there_and_last() -> None:
    assert backends()[-1] == "cryptography"
    assert len(set(backends())) == len(backends())


@pytest.mark.parametrize(
    ("out", "key", "backend", "sentence"),
    [
        (np.zeros(4, np.int32), KEY, None, "1-D uint32 or uint64"),
        (np.zeros(4, ">u4"), KEY, None, "1-D uint32 or uint64"),
        (np.zeros((2, 2), np.uint32), KEY, None, "not 2-D"),
        (np.zeros(8, np.uint32)[::2], KEY, None, "C-contiguous"),
        (np.frombuffer(bytes(16), np.uint32), KEY, None, "writable"),
        (np.frombuffer(bytearray(17), np.uint8)[1:].view(np.uint32), KEY, None, "aligned"),
        (np.zeros(4, np.uint32), KEY[:31], None, "key must have 32 bytes, not 31"),
        (np.zeros(4, np.uint32), KEY, "quantum", "choose one of"),
    ],
)
def test_bad_arguments_of_a_stream(out: np.ndarray, key: bytes, backend: str | None, sentence: str) -> None:
    before = out.copy()
    with pytest.raises(ring.RingError, match=sentence):
        ring.add_stream(out, key, backend=backend)
    assert (out == before).all()


def shared_with_digests() -> dict[str, object]:
    memory = bytearray(3 * 32 + 3 * 8)
    return {
        "out": np.frombuffer(memory, np.uint32, 6, offset=72).reshape(3, 2),
        "digests": np.frombuffer(memory, np.uint8, 96).reshape(3, 32),
    }


@every_backend
@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"out": np.zeros(6, np.uint32)}, "2-D"),
        ({"tag_key": bytes(33)}, "tag_key must have 32 bytes, not 33"),
        ({"stream_key": b""}, "stream_key must have 32 bytes, not 0"),
        ({"digests": np.zeros((2, 32), np.uint8)}, "digests must be uint8 of shape"),
        ({"digests": np.zeros((3, 31), np.uint8)}, "digests must be uint8 of shape"),
        ({"digests": np.zeros((3, 32), np.int8)}, "digests must be uint8 of shape"),
        ({"index": np.array([0, 3])}, "outside 0..2"),
        ({"index": np.array([-1, 0])}, "outside 0..2"),
        ({"index": np.array([2, 0, 2])}, "twice"),
        ({"index": np.array([0, 1], np.int32)}, "index must be int64"),
        ({"index": np.array([[0, 1]])}, "index must be int64"),
        ({"index": np.array(1)}, "index must be int64"),
        (shared_with_digests(), "overlap"),
    ],
)
def test_bad_arguments_of_rows(backend: str, changed: dict[str, object], sentence: str) -> None:
    good = {"out": np.zeros((3, 2), np.uint32), "tag_key": KEY, "stream_key": KEY, "digests": random_digests(3)}
    with pytest.raises(ring.RingError, match=sentence):
        ring.add_row_streams(**(good | changed), backend=backend)


@every_backend
def test_digests_and_index_may_be_strided(backend: str) -> None:
    out, wide = np.zeros((6, 5), np.uint32), random_digests(12)
    wanted = out.copy()
    ring.add_row_streams(wanted, KEY, OTHER_KEY, wide[::2].copy(), index=np.array([1, 3, 5]), backend=backend)
    ring.add_row_streams(out, KEY, OTHER_KEY, wide[::2], index=np.arange(6)[1::2], backend=backend)
    assert (out == wanted).all()
    assert out.any()
