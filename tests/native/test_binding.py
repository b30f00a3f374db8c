"""The compiled module by itself: whatever comes in, it raises or computes, and never reads or writes elsewhere."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from native import _native, ring

KEY = bytes(32)
M = 97


def u32(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.uint32)


def u64(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.uint64)


def u8(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.uint8)


def misaligned() -> np.ndarray:
    return np.frombuffer(bytearray(8 * 4 + 1), np.uint8)[1:].view(np.uint64)


def frozen(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def two_views(dtype: type, shift: int) -> tuple[np.ndarray, np.ndarray]:
    """Two vectors of four words, the second `shift` words later in one memory."""
    memory = np.zeros(16, dtype)
    return memory[:4], memory[shift : shift + 4]


def shared(backend: str | None = None, **changed: np.ndarray) -> object:
    """Two secrets, three points, threshold 2."""
    good = {"out": u64(2, 3, 5), "secrets": u8(2, 32), "random": u64(2, 1, 5), "points": u64(3)}
    return _native.shamir_share(backend, *(good | changed).values())


def opened(backend: str | None = None, **changed: np.ndarray) -> object:
    """Two secrets from three points."""
    good = {"out": u8(2, 32), "points": u64(3), "shares": u64(2, 3, 5)}
    return _native.shamir_reconstruct(backend, *(good | changed).values())


BAD_CALLS: dict[str, tuple[Callable[[], object], type[Exception], str]] = {
    "modulus wraps": (lambda: _native.mod_add(None, u64(1), u64(1), u64(1), 2**64 + 5), OverflowError, "too big"),
    "modulus negative": (lambda: _native.mod_add(None, u64(1), u64(1), u64(1), -5), OverflowError, "negative"),
    "modulus float": (lambda: _native.mod_add(None, u64(1), u64(1), u64(1), 5.0), TypeError, "int"),
    "modulus even": (lambda: _native.mod_mul(None, u64(1), u64(1), u64(1), 8), ValueError, "even"),
    "modulus one": (lambda: _native.mod_inverse(None, u64(1), u64(1), 1), ValueError, "outside 3"),
    "exponent wraps": (lambda: _native.mod_power(None, u64(1), u64(1), 2**64, M), OverflowError, "too big"),
    "seed wraps": (lambda: _native.murmur3(None, u64(1, 2), u64(1), 2**32), ValueError, "outside 0"),
    "bits zero": (lambda: _native.pack(None, u32(1), 0), ValueError, "outside 1"),
    "bits of a narrow word": (lambda: _native.unpack(None, u32(1), u8(5), 33), ValueError, "outside 1..32"),
    "lengths differ": (lambda: _native.mod_add(None, u64(2), u64(2), u64(3), M), ValueError, "b has 24 bytes, not 16"),
    "dot lengths differ": (lambda: _native.mod_dot(None, u64(2), u64(3), M), ValueError, "b has 3 items"),
    "dimensions differ": (lambda: _native.mod_dot(None, u64(2, 1), u64(2), M), ValueError, "2 dimensions"),
    "items too small": (lambda: _native.mod_add(None, u64(2), u32(2), u64(2), M), ValueError, "items of 4 bytes"),
    "items of no word": (lambda: _native.pack(None, np.zeros(2, np.uint16), 3), ValueError, "items of 2 bytes"),
    "misaligned": (lambda: _native.mod_add(None, misaligned(), u64(4), u64(4), M), ValueError, "not aligned"),
    "read-only": (lambda: _native.mod_add(None, frozen(u64(2)), u64(2), u64(2), M), ValueError, "read-only"),
    "strided": (lambda: _native.mod_add(None, u64(4)[::2], u64(2), u64(2), M), ValueError, "contiguous"),
    "no buffer": (lambda: _native.pack(None, [1, 2], 3), TypeError, "bytes-like"),
    "too few arguments": (lambda: _native.pack(None, u32(1)), TypeError, "arguments"),
    "partial overlap": (
        lambda: _native.mod_add(None, *two_views(np.uint64, 1), u64(4), M),
        ValueError,
        "overlaps a",
    ),
    "overlap from below": (
        lambda: _native.mod_add(None, *two_views(np.uint64, 3)[::-1], u64(4), M),
        ValueError,
        "overlaps a",
    ),
    "inverse in place": (lambda: _native.mod_inverse(None, *two_views(np.uint64, 0), M), ValueError, "overlaps a"),
    "unknown hash backend": (lambda: _native.murmur3("quantum", u64(1, 2), u64(1), 0), ValueError, "no backend"),
    "short packed data": (lambda: _native.unpack(None, u32(3), u8(7), 20), ValueError, "not 8"),
    "padding": (lambda: _native.unpack(None, u32(3), b"\0" * 7 + b"\x10", 20), ValueError, "padding"),
    "hash shape": (lambda: _native.murmur3(None, u64(3, 1), u64(3), 0), ValueError, "axis 1"),
    "field backend": (lambda: _native.mod_add("p61", u64(1), u64(1), u64(1), M), ValueError, "no backend"),
    "factor too big": (
        lambda: _native.mod_scale(None, u64(1), u64(1), M, M),
        ValueError,
        "factor is 97, outside 0..96",
    ),
    "at too big": (lambda: _native.mod_lagrange(None, u64(1), u64(1), M, M), ValueError, "at is 97, outside 0..96"),
    "values shape": (
        lambda: _native.mod_evaluate(None, u64(2), u64(3), u64(3), M),
        ValueError,
        "a has 24 bytes, not 16",
    ),
    "values in place": (
        lambda: _native.mod_evaluate(None, out := u64(2), out, u64(2), M),
        ValueError,
        "overlaps coefficients",
    ),
    "coefficients by rows": (
        lambda: _native.mod_evaluate(None, u64(2), u64(3, 1), u64(2), M),
        ValueError,
        "2 dimensions",
    ),
    "weights shape": (lambda: _native.mod_lagrange(None, u64(2), u64(3), 0, M), ValueError, "a has 24 bytes, not 16"),
    "share backend": (lambda: shared("ifma"), ValueError, "no backend"),
    "share limbs": (lambda: shared(out=u64(2, 3, 4)), ValueError, "out has 4 items along axis 2"),
    "share points": (lambda: shared(points=u64(4)), ValueError, "points has 4 items"),
    "share secrets": (lambda: shared(secrets=u8(3, 32)), ValueError, "secrets has 3 items"),
    "share short secrets": (lambda: shared(secrets=u8(2, 31)), ValueError, "secrets has 31 items"),
    "share random": (lambda: shared(random=u64(3, 1, 5)), ValueError, "random has 3 items"),
    "share random limbs": (lambda: shared(random=u64(2, 1, 4)), ValueError, "random has 4 items"),
    "share in place": (
        lambda: shared(random=(out := u64(2, 3, 5))[:, :1].copy(), points=out[0, 0, :3], out=out),
        ValueError,
        "overlaps points",
    ),
    "open backend": (lambda: opened("ifma"), ValueError, "no backend"),
    "open secrets": (lambda: opened(out=u8(2, 31)), ValueError, "out has 31 items"),
    "open shares": (lambda: opened(shares=u64(3, 3, 5)), ValueError, "shares has 3 items along axis 0"),
    "open points": (lambda: opened(points=u64(4)), ValueError, "shares has 3 items along axis 1"),
    "open limbs": (lambda: opened(shares=u64(2, 3, 6)), ValueError, "shares has 6 items along axis 2"),
    "open in place": (
        lambda: opened(out=(shares := u64(2, 3, 5)).view(np.uint8).reshape(-1)[:64].reshape(2, 32), shares=shares),
        ValueError,
        "overlaps shares",
    ),
    "filter backend": (
        lambda: _native.bloom_contains("quantum", u32(1), 9, 1, u8(1), u64(1)),
        ValueError,
        "no backend",
    ),
    "filter cells": (lambda: _native.bloom_insert("portable", u32(1), 2**32, 1, u64(1)), ValueError, "cells is"),
    "filter hashes": (lambda: _native.bloom_insert("portable", u32(1), 9, 33, u64(1)), ValueError, "hashes is"),
    "filter words": (lambda: _native.bloom_insert("portable", u32(1), 33, 1, u64(1)), ValueError, "words has 1 items"),
    "filter bytes": (lambda: _native.bloom_insert("portable", u8(4), 32, 1, u64(1)), ValueError, "items of 1 bytes"),
    "filter found": (
        lambda: _native.bloom_contains("portable", u32(1), 9, 1, u8(2), u64(1)),
        ValueError,
        "found has 2",
    ),
    "filter range": (
        lambda: _native.bloom_members("portable", u32(1), 9, 1, u64(3), 2**63 - 3),
        ValueError,
        "first is",
    ),
    "filter within its keys": (
        lambda: _native.bloom_insert("portable", (keys := u64(4)).view(np.uint32), 256, 1, keys),
        ValueError,
        "overlaps keys",
    ),
    "members within the filter": (
        lambda: _native.bloom_members("portable", (out := u64(4)).view(np.uint32), 256, 1, out, 0),
        ValueError,
        "overlaps words",
    ),
}


@pytest.mark.parametrize("name", BAD_CALLS)
def test_bad_calls(name: str) -> None:
    call, error, sentence = BAD_CALLS[name]
    with pytest.raises(error, match=sentence):
        call()


def test_empty_buffers_need_no_alignment() -> None:
    empty = misaligned()[:0]
    _native.mod_add(None, empty, empty, empty, M)
    assert _native.mod_dot(None, empty, empty, M) == 0
    assert _native.pack(None, empty, 7) == b""


def test_in_place_where_the_kernels_allow_it() -> None:
    a = np.arange(9, dtype=np.uint64)
    _native.mod_mul(None, a, a, a, M)
    _native.mod_power(None, a, a, 2, M)
    assert a.tolist() == [pow(x, 4, M) for x in range(9)]


def test_threads_share_nothing() -> None:
    """The interpreter lock is released around kernels; results are those of one thread."""

    def masked(seed: int) -> bytes:
        words = u32(2**16)
        ring.add_streams(words, seed.to_bytes(32, "big"))
        return words.tobytes()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(masked, range(16))) == [masked(seed) for seed in range(16)]


def test_one_sentence_says_how_to_build() -> None:
    code = "import sys; sys.modules['native._native'] = None; import native.ring"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode != 0
    assert "ImportError: securefl's C extension is not built: run `pip install .`" in done.stderr
