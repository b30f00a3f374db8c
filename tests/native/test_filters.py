"""Bloom filter kernels: every backend, bit for bit the plain reference; nothing read or written elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from native import _native, filters, reference
from native.filters import BitsError

backends = pytest.mark.parametrize("backend", filters.backends())

WORD = st.integers(0, 2**64 - 1)
CELLS = st.integers(1, 300) | st.sampled_from([2**16, 2**24 + 3])
HASHES = st.integers(1, 32)


def as_keys(values: Iterable[int]) -> np.ndarray:
    return np.array(list(values), np.uint64)


def bits_of(keys: Iterable[int], cells: int, hashes: int) -> np.ndarray:
    """The filter of the reference."""
    bits = np.zeros(filters.words(cells), np.uint32)
    for key in keys:
        for cell in reference.filter_cells(key, cells, hashes):
            bits[cell // 32] |= np.uint32(1 << cell % 32)
    return bits


def filled(backend: str, keys: np.ndarray, cells: int, hashes: int) -> np.ndarray:
    bits = np.zeros(filters.words(cells), np.uint32)
    filters.insert(bits, cells, hashes, keys, backend=backend)
    return bits


@backends
@given(keys=st.lists(WORD, max_size=70), others=st.lists(WORD, max_size=70), cells=CELLS, hashes=HASHES)
@example(keys=[0, 2**63, 2**64 - 1], others=[1], cells=2**24 + 3, hashes=32)
def test_insert_and_contains_are_those_of_the_reference(
    backend: str, keys: list[int], others: list[int], cells: int, hashes: int
) -> None:
    bits = bits_of(keys, cells, hashes)
    assert (filled(backend, as_keys(keys), cells, hashes) == bits).all()
    assert filters.contains(bits, cells, hashes, as_keys(keys), backend=backend).all()
    expected = [all(bits[c // 32] >> (c % 32) & 1 for c in reference.filter_cells(k, cells, hashes)) for k in others]
    assert filters.contains(bits, cells, hashes, as_keys(others), backend=backend).tolist() == expected


@backends
@pytest.mark.parametrize("hashes", [1, 2, 7, 32])
@pytest.mark.parametrize("start", [0, 5, 2**32 - 3000, 2**63 - 9000])
def test_members_are_the_keys_that_are_contained(backend: str, start: int, hashes: int) -> None:
    """Over several blocks, from any start, at any length; the halves of a range are the whole."""
    cells, stop = 2000, start + 8999
    bits = filled(backend, np.arange(start, stop, 70, dtype=np.uint64), cells, hashes)
    inside = filters.contains(bits, cells, hashes, np.arange(start, stop, dtype=np.uint64), backend=backend)
    expected = (start + np.flatnonzero(inside)).tolist()
    assert filters.members(bits, cells, hashes, start, stop, backend=backend).tolist() == expected
    assert 128 < len(expected) < 8999
    for at in [*range(40), 1023, 1024, 1025, 4095, 4096, 4097]:
        halves = [(start, start + at), (start + at, stop)]
        found = [filters.members(bits, cells, hashes, *half, backend=backend).tolist() for half in halves]
        assert found[0] + found[1] == expected


@backends
def test_members_of_a_full_and_of_an_empty_filter(backend: str) -> None:
    full, empty = np.full(3, 2**32 - 1, np.uint32), np.zeros(3, np.uint32)
    assert filters.members(full, 90, 7, 10, 20_010, backend=backend).tolist() == list(range(10, 20_010))
    assert filters.members(empty, 90, 7, 0, 20_000, backend=backend).shape == (0,)


@backends
@pytest.mark.parametrize("count", range(70))
def test_every_length_stays_inside_its_arrays(backend: str, count: int) -> None:
    keys, cells, hashes = np.arange(1000, 1000 + count, dtype=np.uint64), 500, 3
    bits = bits_of(keys.tolist(), cells, hashes)
    guarded = np.zeros(len(bits) + 2, np.uint32)
    _native.bloom_insert(backend, guarded[1:-1], cells, hashes, keys)
    assert guarded.tolist() == [0, *bits.tolist(), 0]
    found = np.full(count + 2, 7, np.uint8)
    _native.bloom_contains(backend, bits, cells, hashes, found[1:-1], keys)
    assert found.tolist() == [7, *[1] * count, 7]
    out = np.full(count + 2, -1, np.int64)
    assert _native.bloom_members(backend, bits, cells, hashes, out[1:-1], 1000) == count
    assert out.tolist() == [-1, *keys.tolist(), -1]


@pytest.mark.slow
@backends
def test_the_largest_filter(backend: str) -> None:
    """Cells up to 2^32 - 1: positions of 32 bits, words of 27; and a key that falls elsewhere if its step is even."""
    cells, hashes, keys = 2**32 - 1, 32, as_keys([*range(0, 2**40, 2**30), 119_550_737])
    bits = filled(backend, keys, cells, hashes)
    expected = {cell for key in keys.tolist() for cell in reference.filter_cells(key, cells, hashes)}
    words = np.flatnonzero(bits)
    assert {32 * int(w) + b for w in words for b in range(32) if bits[w] >> b & 1} == expected
    assert max(expected) > 2**31
    assert filters.contains(bits, cells, hashes, keys, backend=backend).all()
    assert filters.members(bits, cells, hashes, 0, 100_000, backend=backend).tolist() == [0]


def test_the_portable_backend_is_always_there_and_last() -> None:
    assert filters.backends()[-1] == "portable"
    assert filters.backends() == tuple(_native.bloom_backends())


def test_strided_and_read_only_arrays_can_be_looked_up() -> None:
    keys, bits = np.arange(90, dtype=np.uint64), bits_of(range(0, 90, 3), 300, 4)
    twice = np.repeat(bits, 2)
    twice.flags.writeable = False
    assert (
        filters.contains(twice[::2], 300, 4, keys[::-3]).tolist() == filters.contains(bits, 300, 4, keys)[::-3].tolist()
    )
    assert filters.members(twice[::2], 300, 4, 0, 90).tolist() == filters.members(bits, 300, 4, 0, 90).tolist()


BITS, KEYS = np.zeros(3, np.uint32), np.zeros(2, np.uint64)
READ_ONLY = np.broadcast_to(np.uint32(0), 3)
SHARED = np.zeros(4, np.uint64)
BAD: dict[str, tuple[Callable[[], object], str]] = {
    "no cells": (lambda: filters.insert(BITS, 0, 1, KEYS), "cells"),
    "too many cells": (lambda: filters.insert(BITS, 2**32, 1, KEYS), "cells"),
    "no hashes": (lambda: filters.contains(BITS, 90, 0, KEYS), "hashes"),
    "too many hashes": (lambda: filters.members(BITS, 90, 33, 0, 1), "hashes"),
    "another number of words": (lambda: filters.contains(BITS, 97, 1, KEYS), r"shape \(4,\)"),
    "words of 64 bits": (lambda: filters.contains(np.zeros(3, np.uint64), 90, 1, KEYS), "uint32"),
    "bits that cannot be written": (lambda: filters.insert(READ_ONLY, 90, 1, KEYS), "writable"),
    "keys within the bits": (lambda: filters.insert(SHARED.view(np.uint32), 256, 1, SHARED), "overlap"),
    "signed keys": (lambda: filters.insert(BITS, 90, 1, np.zeros(2, np.int64)), "1-D uint64"),
    "keys in rows": (lambda: filters.contains(BITS, 90, 1, np.zeros((2, 1), np.uint64)), "1-D uint64"),
    "a single key": (lambda: filters.contains(BITS, 90, 1, np.uint64(1)), "1-D uint64"),
    "an unknown backend": (lambda: filters.contains(BITS, 90, 1, KEYS, backend="quantum"), "no backend 'quantum'"),
    "a negative start": (lambda: filters.members(BITS, 90, 1, -1, 4), "start=-1"),
    "a stop before the start": (lambda: filters.members(BITS, 90, 1, 5, 4), "start=5"),
    "a stop of 2^63": (lambda: filters.members(BITS, 90, 1, 0, 2**63), "stop"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments(name: str) -> None:
    call, sentence = BAD[name]
    with pytest.raises(BitsError, match=sentence):
        call()
