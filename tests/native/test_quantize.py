"""Quantization: the reference's integers from every backend, the draws of the stream, and nothing that is no number."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from words import KEY, every_backend, every_word

from native import _native, reference, ring

finite = st.floats(allow_nan=False, allow_infinity=False)
clips = st.floats(0, allow_nan=False, allow_infinity=False, exclude_min=True)
draws = st.integers(0, 2**32 - 1)
CHUNK = 4096
"""Draws made at a time."""


def words_of(rows: list[list[int]], dtype: type) -> list[list[int]]:
    return [[value % 2 ** np.iinfo(dtype).bits for value in row] for row in rows]


@given(
    st.integers(1, 7),
    st.lists(st.tuples(finite, draws), max_size=30),
    clips,
    st.integers(1, 2**31 - 1),
    st.integers(0, 2**32 - 1),
    st.sampled_from([np.uint32, np.uint64]),
    st.sampled_from([np.float32, np.float64]),
)
@example(
    1, [(1.0, 0), (-1.0, 0), (1.0, 2**32 - 1), (-1.0, 2**32 - 1)], 1.0, 2**31 - 1, 2**32 - 1, np.uint64, np.float64
)
@example(2, [(-5e-324, 0), (-0.0, 0), (5e-324, 2**32 - 1), (1e308, 7)], 5e-324, 1, 3, np.uint32, np.float64)
def test_words_are_those_of_the_reference(
    width: int, drawn: list[tuple[float, int]], clip: float, levels: int, weight: int, dtype: type, real: type
) -> None:
    rows = len(drawn) // width
    with np.errstate(over="ignore"):
        values = np.nan_to_num(np.array([x for x, _ in drawn[: rows * width]], real).reshape(rows, width))
    given_draws = np.array([draw for _, draw in drawn[: rows * width]], np.uint32).reshape(rows, width)
    weights = np.array([(weight + row) % 2**32 for row in range(rows)], np.uint32)
    out = np.empty((rows, width + 1), dtype)
    assert _native.quantize(out, values, weights, clip, levels, given_draws)
    wanted = reference.quantize(values.tolist(), weights.tolist(), clip, levels, given_draws.reshape(-1).tolist())
    assert out.tolist() == words_of(wanted, dtype)


@every_backend
@every_word
@pytest.mark.parametrize("real", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("rows", "width"),
    [(0, 3), (1, 1), (3, 5), (70, 60), (1, CHUNK - 1), (1, CHUNK), (1, CHUNK + 1), (3, 2 * CHUNK + 3)],
)
def test_draws_are_the_words_of_the_stream(backend: str, dtype: type, real: type, rows: int, width: int) -> None:
    """Row after row, chunks of draws or not."""
    values = np.random.default_rng(rows).normal(0, 2, (rows, width)).astype(real)
    weights = np.arange(rows, dtype=np.uint32)
    stream = np.zeros(rows * width, np.uint32)
    ring.add_streams(stream, KEY)
    wanted = reference.quantize(values.tolist(), weights.tolist(), 3.0, 100, stream.tolist())
    out = np.empty((rows, width + 1), dtype)
    ring.quantize(out, values, weights, clip=3.0, levels=100, key=KEY, backend=backend)
    assert out.tolist() == words_of(wanted, dtype)


@every_backend
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("real", [np.float32, np.float64])
@pytest.mark.parametrize("place", [0, 1, CHUNK - 1, CHUNK, 3 * CHUNK + 1])
def test_c2_what_is_no_number_is_found_wherever_it_stands(backend: str, bad: float, real: type, place: int) -> None:
    values = np.zeros((2, 2 * CHUNK), real)
    values.reshape(-1)[place] = bad
    with pytest.raises(ring.RingError, match="NaN or infinity"):
        ring.quantize(
            np.empty((2, 2 * CHUNK + 1), np.uint64),
            values,
            np.ones(2, np.uint32),
            clip=1.0,
            levels=1,
            key=KEY,
            backend=backend,
        )


def test_rows_of_no_values_hold_their_weights() -> None:
    out = np.empty((3, 1), np.uint64)
    ring.quantize(out, np.empty((3, 0)), np.arange(3, dtype=np.uint32), clip=1.0, levels=1, key=KEY)
    assert out.tolist() == [[0], [1], [2]]


GOOD: dict[str, Any] = {
    "out": np.zeros((2, 4), np.uint64),
    "values": np.zeros((2, 3)),
    "weights": np.ones(2, np.uint32),
    "clip": 1.0,
    "levels": 7,
    "key": KEY,
}
MEMORY = np.zeros(64, np.uint64)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"out": np.zeros((2, 3), np.uint64)}, r"out must be of shape \(2, 4\)"),
        ({"out": np.zeros((2, 4), np.int64)}, "2-D uint32 or uint64"),
        ({"values": np.zeros((2, 3), np.float16)}, "values must be a 2-D float32 or float64"),
        ({"values": np.zeros((2, 3), ">f8")}, "values must be a 2-D float32 or float64"),
        ({"values": np.zeros(6)}, "not 1-D"),
        ({"weights": np.ones(2, np.int64)}, "weights must be uint32"),
        ({"weights": np.ones(3, np.uint32)}, r"weights must be uint32 of shape \(2,\)"),
        ({"clip": 0.0}, "clip must be above 0"),
        ({"clip": math.nan}, "clip must be above 0"),
        ({"clip": math.inf}, "clip must be above 0"),
        ({"levels": 0}, "levels in 1"),
        ({"levels": 2**31}, "levels in 1"),
        ({"key": KEY[:31]}, "key must have 32 bytes, not 31"),
        ({"backend": "quantum"}, "choose one of"),
        ({"out": MEMORY[:8].reshape(2, 4), "values": MEMORY[2:8].view(np.float64).reshape(2, 3)}, "overlap out"),
        ({"out": MEMORY[:8].reshape(2, 4), "weights": MEMORY[7:8].view(np.uint32)}, "overlap out"),
    ],
)
def test_c3_bad_arguments(changed: dict[str, object], sentence: str) -> None:
    with pytest.raises(ring.RingError, match=sentence):
        ring.quantize(**(GOOD | changed))


@pytest.mark.parametrize(
    ("place", "bad", "sentence"),
    [
        (0, np.zeros((2, 3), np.uint64), "out has 3 items along axis 1"),
        (0, np.zeros((3, 4), np.uint64), "out has 3 items along axis 0"),
        (1, np.zeros(6), "1 dimensions"),
        (2, np.ones(3, np.uint32), "weights has 3"),
        (2, np.ones(2, np.uint64), "items of 8 bytes"),
        (3, 0.0, "clip is no finite number above 0"),
        (3, math.inf, "clip is no finite number above 0"),
        (3, math.nan, "clip is no finite number above 0"),
        (4, 0, "levels is 0"),
        (4, 2**31, "levels is"),
        (5, np.zeros((2, 4), np.uint32), "draws has 4"),
    ],
)
def test_the_kernel_checks_shapes(place: int, bad: object, sentence: str) -> None:
    arguments = [*list(GOOD.values())[:5], np.zeros((2, 3), np.uint32)]
    arguments[place] = bad
    with pytest.raises(ValueError, match=sentence):
        _native.quantize(*arguments)


@pytest.mark.parametrize("backend", _native.mask_backends())
def test_the_kernel_checks_the_key(backend: str) -> None:
    with pytest.raises(ValueError, match="key has 31"):
        _native.quantize_stream(backend, *list(GOOD.values())[:5], KEY[:31])
