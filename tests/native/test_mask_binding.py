"""The compiled masks by themselves: whatever comes in, they raise or compute, and never read or write elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from words import KEY

from native import _native, backends

compiled = pytest.mark.parametrize("backend", _native.mask_backends())

STREAMS = {"out": np.zeros(4, np.uint32), "keys": KEY, "subtract": b"\0", "first": 0, "threads": 1}
ROWS = {
    "out": np.zeros((3, 4), np.uint32),
    "keys": 2 * KEY,
    "digests": np.zeros((3, 32), np.uint8),
    "index": None,
    "ends": None,
    "subtract": b"\0",
    "threads": 1,
}
TAGGED = {"out": ROWS["out"], "keys": KEY, "tags": np.zeros((3, 16), np.uint8)} | dict(list(ROWS.items())[3:])


def frozen(*shape: int) -> np.ndarray:
    array = np.zeros(shape, np.uint32)
    array.flags.writeable = False
    return array


def call(function: str, backend: str, good: dict[str, object], changed: dict[str, object]) -> np.ndarray:
    arguments = good | {"out": good["out"].copy()} | changed  # type: ignore[attr-defined]
    getattr(_native, function)(backend, *arguments.values())
    return np.asarray(arguments["out"])


def refused(function: str, backend: str, good: dict[str, object], changed: dict[str, object], sentence: str) -> None:
    with pytest.raises((ValueError, TypeError, OverflowError), match=sentence):
        call(function, backend, good, changed)


def test_backends_of_the_face() -> None:
    assert backends() == (*_native.mask_backends(), "cryptography")


@compiled
def test_good_calls(backend: str) -> None:
    assert call("add_streams", backend, STREAMS, {}).any()
    assert call("add_row_streams", backend, ROWS, {}).any()
    assert call("add_tagged_rows", backend, TAGGED, {}).any()


@pytest.mark.parametrize(
    ("function", "good"), [("add_streams", STREAMS), ("add_row_streams", ROWS), ("add_tagged_rows", TAGGED)]
)
def test_an_unknown_backend(function: str, good: dict[str, object]) -> None:
    refused(function, "quantum", good, {}, "no backend")


OUT = [
    ({"out": np.zeros((1, 1, 1), np.uint32)}, "3 dimensions"),
    ({"out": frozen(3, 4)}, "read-only|2 dimensions"),
    ({"keys": bytes(31)}, "keys has 31 items"),
    ({"keys": bytes(65)}, "keys has 65 items"),
    ({"keys": np.zeros(8, np.uint64)}, "items of 8 bytes"),
    ({"subtract": bytes(3)}, "keys has"),
    ({"subtract": np.zeros(1, np.int64)}, "items of 8 bytes"),
    ({"threads": 0}, r"outside 1\.\.64"),
    ({"threads": 65}, r"outside 1\.\.64"),
    ({"threads": 2**64 + 1}, "too big"),
]


@compiled
@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        *OUT,
        ({"out": np.zeros(4, np.uint16)}, "items of 2 bytes"),
        ({"first": -1}, "negative"),
        ({"first": 2**40}, "outside"),
        ({"first": 2**64}, "too big"),
    ],
)
def test_bad_streams(backend: str, changed: dict[str, object], sentence: str) -> None:
    refused("add_streams", backend, STREAMS, changed, sentence)


@compiled
@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        *OUT,
        ({"out": np.zeros((3, 4), np.uint16)}, "items of 2 bytes"),
        ({"out": np.lib.stride_tricks.as_strided(np.zeros(1, np.uint32), (1, 9), (0, 0))}, "contiguous"),
        ({"out": np.zeros((3, 4 * 2**16 + 1), np.uint32)}, "more than 2\\*\\*16 blocks"),
        ({"digests": np.zeros((2, 32), np.uint8)}, "digests has 2"),
        ({"digests": np.zeros((3, 31), np.uint8)}, "digests has 31"),
        ({"index": np.arange(3)}, "NoneType"),
        ({"ends": np.array([3])}, "NoneType"),
        ({"index": np.arange(3), "ends": np.array([4])}, "ends do not cut"),
        ({"index": np.arange(3), "ends": np.array([-1])}, "ends do not cut"),
        ({"index": np.arange(3), "ends": np.array([1, 3])}, "ends has 2"),
        ({"index": np.array([0, 3]), "ends": np.array([2])}, "does not exist"),
        ({"index": np.array([-1]), "ends": np.array([1])}, "does not exist"),
        ({"index": np.array([2**62]), "ends": np.array([1])}, "does not exist"),
        ({"index": np.array([1, 1]), "ends": np.array([2])}, "not in ascending order"),
        ({"index": np.array([0], np.int32), "ends": np.array([1])}, "items of 4 bytes"),
    ],
)
def test_bad_rows(backend: str, changed: dict[str, object], sentence: str) -> None:
    refused("add_row_streams", backend, ROWS, changed, sentence)


@compiled
def test_bad_tags(backend: str) -> None:
    refused("add_tagged_rows", backend, TAGGED, {"tags": np.zeros((3, 32), np.uint8)}, "tags has 32")


@compiled
def test_ends_that_fall_back(backend: str) -> None:
    two = {"keys": 4 * KEY, "subtract": bytes(2), "index": np.arange(3), "ends": np.array([2, 1])}
    refused("add_row_streams", backend, ROWS, two, "ends do not cut")


@compiled
@pytest.mark.parametrize("inside", ["keys", "subtract", "digests", "index", "ends"])
def test_rows_may_not_overlap_what_they_are_made_from(backend: str, inside: str) -> None:
    memory = np.zeros(3 * 32, np.uint8)
    views = {
        "keys": memory[:64],
        "subtract": memory[:1],
        "digests": memory.reshape(3, 32),
        "index": memory[:8].view(np.int64),
        "ends": memory[:8].view(np.int64),
    }
    rows = {"index": np.array([0]), "ends": np.array([1]), "out": memory.view(np.uint32).reshape(3, 8)}
    refused("add_row_streams", backend, ROWS, rows | {inside: views[inside]}, f"overlaps {inside}")


@compiled
@pytest.mark.parametrize("inside", ["keys", "subtract"])
def test_streams_may_not_overlap_what_they_are_made_from(backend: str, inside: str) -> None:
    memory = np.zeros(64, np.uint8)
    view = {"keys": memory[32:], "subtract": memory[60:61]}[inside]
    refused("add_streams", backend, STREAMS, {"out": memory.view(np.uint32), inside: view}, f"overlaps {inside}")
