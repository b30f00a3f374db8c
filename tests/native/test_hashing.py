"""Batch MurmurHash3 against mmh3."""

from __future__ import annotations

import mmh3
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from native import _native, reference
from native.hashing import HashingError, backends, murmur3_x64_128

LANES = 8
words = st.integers(0, 2**64 - 1)
every_backend = pytest.mark.parametrize("backend", backends())


def by_mmh3(key: int, seed: int) -> tuple[int, int]:
    return mmh3.hash64(key.to_bytes(8, "little"), seed, signed=False)


@every_backend
@given(keys=st.lists(words, max_size=20), seed=st.integers(0, 2**32 - 1))
@example(keys=[0, 1, 2**63 - 1, 2**63, 2**64 - 1], seed=2**32 - 1)
@example(keys=[0, 2**63, 2**64 - 2], seed=2**31)
def test_equal_to_mmh3(backend: str, keys: list[int], seed: int) -> None:
    hashes = murmur3_x64_128(np.array(keys, np.uint64), seed, backend=backend)
    assert hashes.shape == (len(keys), 2)
    assert list(map(tuple, hashes.tolist())) == [by_mmh3(key, seed) for key in keys]


@every_backend
def test_c5_every_length_of_keys(backend: str) -> None:
    """Nothing but the hashes of the keys is written, whatever is left over for the last register."""
    keys = np.random.default_rng(0).integers(0, 2**64 - 1, 4 * LANES + 1, np.uint64, endpoint=True)
    wanted = [by_mmh3(key, 9) for key in keys.tolist()]
    for count in range(keys.size + 1):
        out = np.zeros((keys.size + 1, 2), np.uint64)
        _native.murmur3(backend, out[:count], keys[:count], 9)
        assert list(map(tuple, out[:count].tolist())) == wanted[:count]
        assert not out[count:].any()


@given(key=words, seed=st.integers(0, 2**32 - 1))
def test_the_reference_is_equal_too(key: int, seed: int) -> None:
    assert reference.murmur3_x64_128(key, seed) == by_mmh3(key, seed)


def test_the_seed_is_zero_unless_given() -> None:
    keys = np.arange(5, dtype=np.uint64)
    assert (murmur3_x64_128(keys) == murmur3_x64_128(keys, 0)).all()
    assert (murmur3_x64_128(keys) != murmur3_x64_128(keys, 1)).all()


def test_strided_keys() -> None:
    keys = np.arange(30, dtype=np.uint64)
    assert (murmur3_x64_128(keys[::-3]) == murmur3_x64_128(keys)[::-3]).all()


@pytest.mark.parametrize("keys", [np.zeros(3, np.int64), np.zeros((3, 1), np.uint64), np.zeros(3, ">u8")])
def test_keys_of_the_wrong_kind(keys: np.ndarray) -> None:
    with pytest.raises(HashingError, match="1-D uint64"):
        murmur3_x64_128(keys)


@pytest.mark.parametrize("seed", [-1, 2**32, 2**64 + 5])
def test_seed_out_of_range(seed: int) -> None:
    with pytest.raises(HashingError, match="seed"):
        murmur3_x64_128(np.zeros(1, np.uint64), seed)


def test_the_best_backend_is_the_default_and_the_last_runs_everywhere() -> None:
    assert backends()[-1] == "portable"
    with pytest.raises(HashingError, match=r"choose one of .*portable"):
        murmur3_x64_128(np.zeros(1, np.uint64), backend="quantum")


def test_out_is_filled_and_returned() -> None:
    keys, out = np.arange(9, dtype=np.uint64), np.zeros((9, 2), np.uint64)
    assert murmur3_x64_128(keys, 3, out=out) is out
    assert (out == murmur3_x64_128(keys, 3)).all()


@pytest.mark.parametrize(
    ("out", "sentence"),
    [
        (np.zeros((3, 2), np.int64), "out must be uint64"),
        (np.zeros((4, 2), np.uint64), "out has 4 items"),
        (np.zeros((3, 3), np.uint64), "out has 3 items along axis 1"),
        (np.zeros((3, 4), np.uint64)[:, ::2], "C-contiguous"),
        (np.frombuffer(bytes(48), np.uint64).reshape(3, 2), "read-only"),
    ],
)
def test_out_of_the_wrong_kind(out: np.ndarray, sentence: str) -> None:
    with pytest.raises(HashingError, match=sentence):
        murmur3_x64_128(np.arange(3, dtype=np.uint64), out=out)


def test_out_over_the_keys() -> None:
    memory = np.arange(9, dtype=np.uint64)
    with pytest.raises(HashingError, match="overlaps"):
        murmur3_x64_128(memory[5:8], out=memory[:6].reshape(3, 2))
    assert memory.tolist() == list(range(9))
