"""What the tests of masks are made of."""

from __future__ import annotations

import numpy as np
import pytest

from native import backends

KEY, OTHER_KEY = bytes(range(32)), bytes(range(32, 64))
TILE = 1 << 16
"""Bytes over which all keys pass before the next."""

every_backend = pytest.mark.parametrize("backend", backends())
every_word = pytest.mark.parametrize("dtype", [np.uint32, np.uint64], ids=lambda dtype: dtype.__name__)
both_signs = pytest.mark.parametrize("subtract", [False, True], ids=["add", "subtract"])


def random_words(shape: tuple[int, ...], dtype: type, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def random_keys(count: int, seed: int = 2) -> list[bytes]:
    return [bytes(key) for key in random_words((count, 32), np.uint8, seed)]


def random_digests(rows: int) -> np.ndarray:
    return random_words((rows, 32), np.uint8, seed=1)


def bits(dtype: type) -> int:
    return np.iinfo(dtype).bits


def met(words: np.ndarray, pad: bytes, subtract: bool = False) -> np.ndarray:
    """Words plus (or minus) those of a pad, which may be longer."""
    pads = np.frombuffer(pad, words.dtype.newbyteorder("<"), words.size).reshape(words.shape)
    return words - pads if subtract else words + pads
