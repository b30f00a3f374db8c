"""Masks by rows: every backend gives the reference's bits, for rows of every length and number, under many keys."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from words import (
    KEY,
    OTHER_KEY,
    TILE,
    bits,
    both_signs,
    every_backend,
    every_word,
    met,
    random_digests,
    random_keys,
    random_words,
)

from native import reference, ring

KEYS = KEY + OTHER_KEY
LONG = 4 * 2**8 * 16 // 4
"""Words of 32 bits from which on a row is masked by itself."""


def texts(rows: np.ndarray) -> list[bytes]:
    return [bytes(row) for row in rows]


@every_backend
@every_word
@both_signs
@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 19, 33, 35, 70])
def test_rows_of_every_number(backend: str, dtype: type, subtract: bool, width: int) -> None:
    for rows in (0, 1, 2, 7, 8, 9, 15, 16, 19, 33):
        out, digests = random_words((rows, width), dtype), random_digests(rows)
        wanted = reference.add_row_streams(out.tolist(), KEY, OTHER_KEY, texts(digests), bits(dtype), subtract=subtract)
        ring.add_row_streams(out, KEYS, digests, subtract=subtract, backend=backend)
        assert out.tolist() == wanted


@every_backend
@pytest.mark.parametrize("rows", [63, 64, 65, 130])
def test_more_rows_than_are_looked_at_together(backend: str, rows: int) -> None:
    out, digests = random_words((rows, 3), np.uint32), random_digests(rows)
    wanted = reference.add_row_streams(out.tolist(), KEY, OTHER_KEY, texts(digests), 32)
    ring.add_row_streams(out, KEYS, digests, backend=backend)
    assert out.tolist() == wanted


@every_backend
@every_word
@both_signs
@pytest.mark.parametrize(
    "index", [[], [0], [39], list(range(3, 40, 4)), sorted(Random(7).sample(range(40), 29))], ids=len
)
def test_only_the_rows_of_the_index(backend: str, dtype: type, subtract: bool, index: list[int]) -> None:
    out, digests = random_words((40, 19), dtype), random_digests(40)
    wanted = reference.add_row_streams(
        out.tolist(), KEY, OTHER_KEY, texts(digests), bits(dtype), index=index, subtract=subtract
    )
    ring.add_row_streams(out, KEYS, digests, index=[np.array(index, np.int64)], subtract=subtract, backend=backend)
    assert out.tolist() == wanted


@every_backend
def test_rows_of_no_words(backend: str) -> None:
    ring.add_row_streams(np.empty((9, 0), np.uint32), KEYS, random_digests(9), backend=backend)


@every_backend
@pytest.mark.parametrize("width", [LONG - 1, LONG, LONG + 1, 4 * 2**16])
@pytest.mark.parametrize("rows", [1, 9])
def test_long_rows(backend: str, rows: int, width: int) -> None:
    """Alone and in a full group, up to 2^16 blocks; one word more is refused."""
    out, digests = random_words((rows, width), np.uint32), random_digests(rows)
    before = out[-1].copy()
    ring.add_row_streams(out, KEYS, digests, backend=backend)
    tag, blocks = reference.row_tag(KEY, bytes(digests[-1])), -(-width // 4)
    pad = reference.row_stream(OTHER_KEY, tag, 260)
    assert (out[-1, :1040] == met(before[:1040], pad)).all()
    last = width - 4 * (blocks - 1)
    pad = reference.aes(OTHER_KEY, tag + (blocks - 1).to_bytes(2, "big"))
    assert (out[-1, -last:] == met(before[-last:], pad)).all()


def test_a_row_of_more_blocks_is_refused() -> None:
    with pytest.raises(ring.RingError, match="more than 2\\*\\*16 blocks"):
        ring.add_row_streams(np.zeros((1, 4 * 2**16 + 1), np.uint32), KEYS, random_digests(1))


@every_backend
@every_word
def test_two_parties_cancel_and_a_changed_digest_does_not(backend: str, dtype: type) -> None:
    out, digests = random_words((20, 19), dtype), random_digests(20)
    original = out.copy()
    changed = digests.copy()
    changed[5, 31] ^= 1
    ring.add_row_streams(out, KEYS, digests, backend=backend)
    assert (out != original).any(axis=1).all()
    ring.add_row_streams(out, KEYS, changed, subtract=True, backend=backend)
    assert [j for j in range(20) if (out[j] != original[j]).any()] == [5]


# ---- tags given ----


@every_backend
@every_word
@both_signs
def test_tagged_rows(backend: str, dtype: type, subtract: bool) -> None:
    """The last two bytes of a tag are not looked at."""
    out, tags = random_words((21, 11), dtype), random_digests(21)[:, :16].copy()
    wanted = reference.add_tagged_rows(
        out.tolist(), KEY, texts(tags[:, :14]), bits(dtype), index=range(2, 21), subtract=subtract
    )
    ring.add_tagged_rows(out, KEY, tags, index=[np.arange(2, 21)], subtract=subtract, backend=backend)
    assert out.tolist() == wanted


@every_backend
@pytest.mark.parametrize("width", [19, LONG])
def test_tags_are_what_digests_are_made_to(backend: str, width: int) -> None:
    out, digests = random_words((10, width), np.uint32), random_digests(10)
    tags = b"".join(reference.row_tag(KEY, bytes(digest)) + b"\xff\xff" for digest in digests)
    ring.add_row_streams(out, KEYS, digests, backend=backend)
    ring.add_tagged_rows(out, OTHER_KEY, np.frombuffer(tags, np.uint8).reshape(10, 16), subtract=True, backend=backend)
    assert (out == random_words((10, width), np.uint32)).all()


# ---- many keys, many threads ----


@every_backend
@every_word
@pytest.mark.parametrize("count", [0, 1, 2, 33])
def test_many_keys_have_their_own_rows(backend: str, dtype: type, count: int) -> None:
    rng, keys, rows = np.random.default_rng(count), random_keys(2 * count), 70
    out, digests = random_words((rows, 3), dtype), random_digests(rows)
    signs = rng.random(count) < 0.5
    index = [np.flatnonzero(rng.random(rows) < share) for share in rng.random(count)]
    wanted = out.tolist()
    for k in range(count):
        tag_key, stream_key = keys[2 * k : 2 * k + 2]
        wanted = reference.add_row_streams(
            wanted, tag_key, stream_key, texts(digests), bits(dtype), index=index[k], subtract=bool(signs[k])
        )
    ring.add_row_streams(out, b"".join(keys), digests, index=index, subtract=signs, backend=backend)
    assert out.tolist() == wanted


@every_backend
@pytest.mark.parametrize("threads", [1, 2, 5, 64])
@pytest.mark.parametrize(("rows", "width"), [(1, 5), (3000, 19), (40, TILE // 32), (5, TILE // 4)])
def test_tiles_and_threads_change_nothing(backend: str, threads: int, rows: int, width: int) -> None:
    """Rows of several tiles, under two keys with rows of their own, against each row alone."""
    out, digests = random_words((rows, width), np.uint32), random_digests(rows)
    keys = b"".join(random_keys(4))
    index = [np.arange(0, rows, 2), np.arange(1, rows)]
    before = out.copy()
    ring.add_row_streams(
        out, keys, digests, index=index, subtract=np.array([False, True]), threads=threads, backend=backend
    )
    for row in {0, 1, 2, rows // 2, rows - 1} & set(range(rows)):
        alone = before[row : row + 1].copy()
        for k, subtract in enumerate((False, True)):
            if row in index[k]:
                ring.add_row_streams(alone, keys[64 * k :][:64], digests[row : row + 1], subtract=subtract)
        assert (out[row] == alone[0]).all()


# ---- refusals ----


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
        ({"keys": bytes(65)}, "keys must have 64 bytes each, not 65 in all"),
        ({"keys": bytes(32)}, "keys must have 64 bytes each, not 32 in all"),
        ({"digests": np.zeros((2, 32), np.uint8)}, "digests must be uint8 of shape"),
        ({"digests": np.zeros((3, 31), np.uint8)}, "digests must be uint8 of shape"),
        ({"digests": np.zeros((3, 32), np.int8)}, "digests must be uint8 of shape"),
        ({"index": [np.array([0, 3])]}, r"outside 0\.\.2"),
        ({"index": [np.array([-1, 0])]}, r"outside 0\.\.2"),
        ({"index": [np.array([0, 2, 2])]}, "twice, or not in ascending order"),
        ({"index": [np.array([2, 0])]}, "twice, or not in ascending order"),
        ({"index": [np.array([0, 1], np.int32)]}, "index must be int64"),
        ({"index": [np.array([[0, 1]])]}, "index must be int64"),
        ({"index": [np.array(1)]}, "index must be int64"),
        ({"index": []}, "1 arrays of rows, one a key, not 0"),
        ({"index": [np.arange(2)] * 2}, "1 arrays of rows, one a key, not 2"),
        ({"subtract": np.zeros(2, bool)}, "1 bools, one a key"),
        ({"threads": 0}, "threads must be in"),
        (shared_with_digests(), "overlap"),
    ],
)
def test_bad_arguments_of_rows(backend: str, changed: dict[str, object], sentence: str) -> None:
    good = {"out": np.zeros((3, 2), np.uint32), "keys": KEYS, "digests": random_digests(3)}
    with pytest.raises(ring.RingError, match=sentence):
        ring.add_row_streams(**(good | changed), backend=backend)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"keys": bytes(64 + 1)}, "keys must have 32 bytes each"),
        ({"tags": np.zeros((3, 14), np.uint8)}, r"tags must be uint8 of shape \(3, 16\)"),
    ],
)
def test_bad_arguments_of_tagged_rows(changed: dict[str, object], sentence: str) -> None:
    good = {"out": np.zeros((3, 2), np.uint32), "keys": KEY, "tags": random_digests(3)[:, :16]}
    with pytest.raises(ring.RingError, match=sentence):
        ring.add_tagged_rows(**(good | changed))


def test_an_index_ascends_for_each_key_by_itself() -> None:
    """Also where a key has none between two that have."""
    out, digests, keys = np.zeros((4, 2), np.uint32), random_digests(4), b"".join(random_keys(6))
    ring.add_row_streams(out, keys, digests, index=[np.array([2, 3]), np.array([], np.int64), np.array([0, 3])])
    assert out.any(axis=1).tolist() == [True, False, True, True]


@every_backend
def test_digests_and_index_may_be_strided(backend: str) -> None:
    out, wide = np.zeros((6, 5), np.uint32), random_digests(12)
    wanted = out.copy()
    ring.add_row_streams(wanted, KEYS, wide[::2].copy(), index=[np.array([1, 3, 5])], backend=backend)
    ring.add_row_streams(out, KEYS, wide[::2], index=[np.arange(6)[1::2]], backend=backend)
    assert (out == wanted).all()
    assert out.any()
