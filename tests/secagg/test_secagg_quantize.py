"""Floats to integers and back: the ring never wraps, rounding is unbiased, and what is no number is refused."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from hashlib import sha256
from unittest import mock

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from native import _native, ring
from securefl.errors import ConfigurationError, LocalProtocolError
from securefl.secagg.quantize import Quantization, dequantize, quantize

HOW = Quantization(8, 0.5, 100)


LOWEST, HIGHEST = 0, 2**32 - 1


@contextmanager
def drawing(*draws: int) -> Iterator[None]:
    """The kernel draws these 32-bit numbers, one for every value, or the only one for all."""

    def kernel(
        out: np.ndarray, values: np.ndarray, weights: np.ndarray, *, clip: float, levels: int, key: bytes
    ) -> None:
        assert len(key) == 32
        given = np.broadcast_to(np.array(draws, np.uint32), values.shape)
        assert _native.quantize(out, np.ascontiguousarray(values), weights, clip, levels, given.copy())

    with mock.patch.object(ring, "quantize", kernel):
        yield


def quantized(values: object, weights: object = (1,), how: Quantization = HOW, draw: int = HIGHEST) -> np.ndarray:
    with drawing(draw):
        return quantize(np.array(values), np.array(weights), how, bytes)


def stream(count: int) -> bytes:
    """The same fair bytes in every run: SHA-256 in counter mode."""
    return b"".join(sha256(block.to_bytes(8, "big")).digest() for block in range(-(-count // 32)))[:count]


# ---- C1: the bound of the ring ----


@given(st.integers(2, 32), st.integers(1, 1 << 24), st.integers(2, 64))
def test_c1_the_largest_cohort_fills_the_ring_and_one_more_would_not_fit(q: int, weight: int, ring: int) -> None:
    how = Quantization(q, 1.0, weight)
    largest = how.largest_cohort(ring)
    assert largest * weight * (2**q - 1) + 1 <= 2**ring
    assert (largest + 1) * weight * (2**q - 1) + 1 > 2**ring
    how.check(ring, largest)
    with pytest.raises(ConfigurationError, match="ring_bits"):
        how.check(ring, largest + 1)


@given(st.integers(2, 32), st.integers(1, 1 << 24), st.integers(1, 1 << 20))
def test_c1_the_ring_that_the_error_names_is_the_smallest_that_does(q: int, weight: int, clients: int) -> None:
    how = Quantization(q, 1.0, weight)
    with pytest.raises(ConfigurationError, match="use ring_bits=") as refused:
        how.check(1, clients)
    named = int(str(refused.value).rpartition("=")[2])
    how.check(named, clients)
    with pytest.raises(ConfigurationError):
        how.check(named - 1, clients)


def test_c1_known_answer() -> None:
    """2^32 with q = 22 carries 1,024 clients of weight 1, and 1,025 need 33 bits."""
    how = Quantization(22, 1.0, 1)
    assert how.largest_cohort(32) == 1024
    how.check(32, 1024)
    with pytest.raises(ConfigurationError, match=r"32 carry 1024 clients .* not 1025; use ring_bits=33"):
        how.check(32, 1025)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("q", "weight", "ring"), [(2, 1, 8), (8, 3, 16), (16, 100, 31), (32, 1, 40), (32, 1 << 24, 64)]
)
def test_c1_the_extreme_sums_of_the_largest_cohort_keep_their_sign(q: int, weight: int, ring: int, sign: int) -> None:
    how = Quantization(q, 1.0, weight)
    (row,) = quantized([[sign * 9.0]], [2 * weight], how)
    total = int(row[0]) * how.largest_cohort(ring)
    assert -(2 ** (ring - 1)) <= total < 2 ** (ring - 1)
    assert total == sign * how.levels * weight * how.largest_cohort(ring)


@given(st.integers(2, 32), st.floats(min_value=0, exclude_min=True, allow_infinity=False), st.sampled_from([1, -1]))
@example(8, 0.9350724237877682, 1)
@example(32, 0.041, 1)
def test_c1_nothing_rounds_above_the_levels(q: int, clip: float, sign: int) -> None:
    """Multiplying by levels / clip would: in floats, clip * (levels / clip) is above levels for one clip in seven."""
    how = Quantization(q, clip, 1)
    for draw in (LOWEST, HIGHEST):
        (row,) = quantized([[sign * clip, sign * sys.float_info.max]], [1], how, draw)
        assert row.tolist() == [sign * how.levels, sign * how.levels, 1]


# ---- C2, C3: forms of values, weights and settings ----

VALUES = [[0.25, -0.125], [0.0, 0.5]]
EXACT = [[64, -31, 1], [0, 127, 1]]
"""VALUES at 127 levels of 0.5, rounded up from 63.5 and -31.75."""


@pytest.mark.parametrize(
    "values",
    [
        np.array(VALUES, np.float16),
        np.array(VALUES, np.float32),
        np.array(VALUES, np.float64),
        np.array(VALUES, ">f2"),
        np.array(VALUES, ">f4"),
        np.array(VALUES, ">f8"),
        np.array(VALUES, order="F"),
        np.repeat(VALUES, 3, axis=1)[:, ::3],
        np.array(VALUES)[::-1][::-1],
    ],
    ids=[
        "f2",
        "f4",
        "f8",
        "big-endian f2",
        "big-endian f4",
        "big-endian f8",
        "by columns",
        "strided",
        "reversed twice",
    ],
)
def test_c2_every_form_of_the_same_numbers_gives_the_same_integers(values: np.ndarray) -> None:
    found = quantized(values, [1, 1], draw=LOWEST)
    assert found.dtype == np.int64
    assert found.tolist() == EXACT


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_c2_what_is_no_number_is_not_sent(bad: float, dtype: type) -> None:
    values = np.zeros((3, 4), dtype)
    values[1, 2] = bad
    with pytest.raises(LocalProtocolError, match="NaN or infinity"):
        quantize(values, np.ones(3, int), HOW, stream)


@pytest.mark.parametrize("tiny", [-0.0, 0.0])
def test_c2_zero_has_no_sign(tiny: float) -> None:
    assert quantized([[tiny]], draw=LOWEST).tolist() == quantized([[tiny]], draw=HIGHEST).tolist() == [[0, 1]]


@pytest.mark.parametrize("tiny", [5e-324, 1e-310])
def test_c2_a_subnormal_rounds_to_a_level_beside_zero(tiny: float) -> None:
    assert quantized([[tiny]], draw=HIGHEST).tolist() == [[0, 1]]
    assert quantized([[-tiny]], draw=LOWEST).tolist() == [[0, 1]]


@pytest.mark.parametrize(("rows", "width"), [(0, 3), (2, 0), (0, 0)])
def test_c2_empty_updates_stay_empty(rows: int, width: int) -> None:
    found = quantize(np.zeros((rows, width)), np.ones(rows, int), HOW, stream)
    assert found.shape == (rows, width + 1)


@pytest.mark.parametrize(
    ("values", "weights"),
    [
        (np.array(0.0), np.array([1])),
        (np.zeros(3), np.ones(3, int)),
        (np.zeros((2, 2, 2)), np.ones(2, int)),
        (np.zeros((2, 3)), np.ones(3, int)),
        (np.zeros((2, 3)), np.ones((2, 1), int)),
        (np.zeros((2, 3)), np.array(1)),
        (np.zeros((2, 3)), np.ones(2)),
        (np.zeros((2, 3)), np.ones(2, bool)),
    ],
    ids=["0-d", "1-D", "3-D", "weights of columns", "2-D weights", "one weight", "float weights", "bool weights"],
)
def test_c2_wrong_shapes_are_refused(values: np.ndarray, weights: np.ndarray) -> None:
    with pytest.raises(LocalProtocolError, match=r"values of shape .* with weights of shape"):
        quantize(values, weights, HOW, stream)


@given(st.integers(-(2**40), 2**63 - 1))
def test_c3_a_weight_is_cut_to_the_largest(weight: int) -> None:
    if weight < 0:
        with pytest.raises(LocalProtocolError, match="a weight is negative"):
            quantized([[0.5]], [weight])
    else:
        used = min(weight, HOW.weight_max)
        assert quantized([[0.5]], [weight]).tolist() == [[127 * used, used]]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint32, np.uint64, np.int8, ">i4"])
def test_c3_the_largest_weight_of_every_integer_type(dtype: type) -> None:
    top = np.iinfo(dtype).max
    assert quantize(np.array([[0.5]]), np.array([top], dtype), HOW, stream).tolist() == [[12700, 100]]


@pytest.mark.parametrize("clip", [0.0, -1.0, math.nan, math.inf, -math.inf, -0.0])
def test_c3_a_clip_is_a_positive_number(clip: float) -> None:
    with pytest.raises(ConfigurationError, match="clip: must be a finite number above 0"):
        Quantization(8, clip, 1).check(32, 5)


@pytest.mark.parametrize(("q", "weight"), [(0, 1), (1, 1), (33, 1), (8, 0), (8, -1), (8, (1 << 24) + 1)])
def test_c3_bits_and_weights_out_of_range_are_refused(q: int, weight: int) -> None:
    with pytest.raises(ConfigurationError, match="use 2 to 32 bits and 1 to"):
        Quantization(q, 1.0, weight).check(64, 5)


# ---- C4: rounding ----


@given(st.floats(-0.6, 0.6))
def test_c4_a_value_goes_to_a_level_beside_it(value: float) -> None:
    scaled = Fraction(max(-0.5, min(0.5, value))) / Fraction(0.5) * 127
    low, high = (int(quantized([[value]], draw=draw)[0, 0]) for draw in (HIGHEST, LOWEST))
    assert low in (math.floor(scaled), round(scaled))  # the quotient in floats may miss an integer by an ulp
    assert high in (math.ceil(scaled), round(scaled))
    assert low <= high <= low + 1


@pytest.mark.parametrize("numerator", [0, 1, 3, 8, 13, 15])
def test_c4_exactly_the_fraction_of_all_draws_goes_up(numerator: int) -> None:
    """Every 2^16-th of the 2^32 draws, each once: the share that goes up is the fraction, to the last one."""
    how = Quantization(8, 127.0, 1)  # levels one apart
    draws = range(0, 2**32, 2**16)
    for level in (5, -5):
        values = np.full((1, 2**16), level + numerator / 16)
        with drawing(*draws):
            found = quantize(values, np.array([1]), how, bytes)[0, :-1]
        assert np.unique(found).tolist() == ([level] if numerator == 0 else [level, level + 1])
        assert int((found == level + 1).sum()) == numerator * 2**12


@pytest.mark.parametrize("value", [0.1, -0.1, 0.49999, 1e-4, -0.3])
def test_c4_rounding_is_unbiased(value: float) -> None:
    """Hoeffding: the mean of n roundings strays by sqrt(ln(2 / 10^-9) / 2n) levels less often than once in 10^9."""
    count = 50_000
    found = quantize(np.full((1, count), value), np.array([1]), HOW, stream)[0, :-1]
    assert abs(found.mean() - value / 0.5 * 127) < math.sqrt(math.log(2e9) / (2 * count))


def test_c4_rounding_takes_one_fresh_secret_of_the_source_and_all_of_it() -> None:
    """32 bytes, each bit of which changes about half of the draws."""
    asked = []

    def source(size: int) -> bytes:
        asked.append(size)
        return bytes(size)

    halves = np.full((40, 25), 0.5 / 127 / 2)
    first = quantize(halves, np.ones(40, int), HOW, source)
    assert asked == [32]
    for bit in range(256):
        changed = (1 << bit).to_bytes(32, "little")
        other = quantize(halves, np.ones(40, int), HOW, lambda _, changed=changed: changed)
        assert 350 < (first != other).sum() < 650


@pytest.mark.parametrize("given", [b"", bytes(31), bytes(33)])
def test_b4_a_source_that_fails_sends_nothing(given: bytes) -> None:
    with pytest.raises(LocalProtocolError, match="an update is not sent: key must have 32 bytes"):
        quantize(np.zeros((1, 1)), np.ones(1, int), HOW, lambda _: given)


@given(st.lists(st.floats(-0.5, 0.5), min_size=1, max_size=8), st.integers(1, 100))
def test_what_was_quantized_comes_back_to_within_a_level(values: list[float], weight: int) -> None:
    row = quantize(np.array([values]), np.array([weight]), HOW, stream)[0]
    assert row[-1] == weight
    back = dequantize(row[:-1], HOW) / weight
    assert np.abs(back - values).max() <= 0.5 / 127 * (1 + 1e-9)


def test_dequantize_gives_the_unit_of_the_update() -> None:
    assert dequantize(np.array([127, -127, 0, 254]), HOW).tolist() == [0.5, -0.5, 0.0, 1.0]
