"""Index sets on the wire: each has one form, and nothing else is accepted (E3, D7)."""

from __future__ import annotations

import tracemalloc
from itertools import product

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import psu
from securefl.errors import LocalProtocolError, MessageError
from securefl.submodel.indexset import BITMAP, GAPS, count, decode, encode

MANY = 2**36
"""The largest universe of a union plan."""


def array(values: object) -> np.ndarray:
    return np.array(values, np.int64)


def leb128(number: int) -> bytes:
    """A number in 7-bit groups, least significant first."""
    low, rest = number & 127, number >> 7
    return bytes((low,)) if rest == 0 else bytes((low | 128,)) + leb128(rest)


def gaps(values: list[int]) -> bytes:
    return b"".join(leb128(b - a - 1) for a, b in zip([-1, *values], values, strict=False))


def bitmap(values: list[int], size: int) -> bytes:
    return sum(1 << value for value in values).to_bytes(-(-size // 8), "little")


def expected(values: list[int], size: int) -> bytes:
    shorter = gaps(values)
    return b"\1" + shorter if len(shorter) < -(-size // 8) else b"\0" + bitmap(values, size)


sizes = st.integers(0, 300) | st.sampled_from([0, 1, 7, 8, 9, 2**14])


@st.composite
def sets(draw: st.DrawFn) -> tuple[list[int], int]:
    size = draw(sizes)
    values = st.sets(st.integers(0, size - 1), max_size=40) if size else st.just(set())
    return sorted(draw(values)), size


@given(sets())
@example(([16, 17, 18, 23], 32))  # a bitmap with free bytes
@example(([128, 16_512], 10**6))  # gaps whose first byte is the high bit alone
def test_a_set_comes_back_from_the_shorter_of_two_forms(drawn: tuple[list[int], int]) -> None:
    values, size = drawn
    data = encode(array(values), size)
    assert data == expected(values, size)
    found = decode(data, size)
    assert found.dtype == np.int64
    assert found.tolist() == values


@settings(max_examples=30)
@given(st.sets(st.integers(0, MANY - 1), max_size=20).map(sorted))
def test_sets_of_the_largest_universe(values: list[int]) -> None:
    data = encode(array(values), MANY)
    assert data == b"\1" + gaps(values)
    assert decode(data, MANY).tolist() == values


@pytest.mark.parametrize("size", range(10))
def test_every_set_of_a_tiny_universe_has_one_form(size: int) -> None:
    """Of all short byte strings and some longer ones, just those that `encode` writes are accepted."""
    sets = [[i for i in range(size) if members >> i & 1] for members in range(1 << size)]
    written = {encode(array(values), size): values for values in sets}
    tried = [b"", b"\0", b"\1", b"\2", *map(bytes, product((0, 1, 2), range(256)))]
    tried += map(bytes, product((0, 1), (0, 1, 3, 127, 128, 255), (0, 1, 2, 127, 128, 255)))
    assert len(written) == len(sets)
    assert {data: found for data in {*tried, *written} if (found := accepted(data, size)) is not None} == written


@given(st.binary(max_size=60), sizes)
def test_e3_random_bytes_are_a_set_or_refused(data: bytes, size: int) -> None:
    check_fuzzed(data, size)


@given(sets(), st.data())
def test_e3_a_changed_set_is_another_set_or_refused(drawn: tuple[list[int], int], data: st.DataObject) -> None:
    encoded = encode(array(drawn[0]), drawn[1])
    at = data.draw(st.integers(0, len(encoded) - 1))
    check_fuzzed(encoded[:at] + data.draw(st.binary(max_size=2)) + encoded[at + 1 :], drawn[1])


def accepted(data: bytes, size: int) -> list[int] | None:
    """The set, or None: decoding raises nothing but `MessageError`."""
    try:
        return decode(data, size).tolist()
    except MessageError:
        return None


def check_fuzzed(data: bytes, size: int) -> None:
    if (values := accepted(data, size)) is None:
        return
    found = array(values)
    assert encode(found, size) == data
    assert (np.diff(found) > 0).all()
    assert found.size == 0 or (found[0] >= 0 and found[-1] < size)


FORMS = {
    "nothing": b"",
    "an unknown kind": b"\2" + bytes(25),
    "a short bitmap": b"\0" + b"\xff" * 24,
    "a long bitmap": b"\0" + b"\xff" * 26,
    "a bit beyond the last": b"\0" + b"\xff" * 25,
    "a bitmap where gaps are shorter": b"\0\1" + bytes(24),
    "gaps where a bitmap is shorter": b"\1" + bytes(25),
    "an unfinished gap": b"\1\5\x80",
    "a padded gap": b"\1\x85\0",
    "a gap of seven bytes": b"\1" + b"\xff" * 6 + b"\1",
    "a gap of nine bytes": b"\1" + b"\xff" * 8 + b"\1",
    "an index beyond the universe": b"\1" + leb128(195),
    "gaps that add up beyond it": b"\1" + leb128(150) + leb128(44),
}


@pytest.mark.parametrize("data", FORMS.values(), ids=list(FORMS))
def test_e3_what_is_no_set_of_195_is_refused(data: bytes) -> None:
    assert (BITMAP, GAPS) == (0, 1)
    assert decode(b"\1" + leb128(150) + leb128(43), 195).tolist() == [150, 194]
    with pytest.raises(MessageError):
        decode(data, 195)


def test_e3_gaps_that_overflow_64_bits_are_refused() -> None:
    data = b"\1" + leb128(2**42 - 1) * 100_000
    with pytest.raises(MessageError, match="beyond the universe"):
        decode(data, MANY)


@pytest.mark.parametrize(
    "values", [[3, 3], [5, 3], [-1, 3], [3, 20]], ids=["repeated", "unsorted", "negative", "beyond"]
)
def test_d7_what_is_no_set_is_not_encoded(values: list[int]) -> None:
    with pytest.raises(LocalProtocolError, match="sorted, without repetition and below 20"):
        encode(array(values), 20)


@given(sets())
@example(([16, 17, 18, 23], 32))
@example(([128, 16_512], 10**6))
def test_d4_indices_can_be_counted_before_they_take_memory(drawn: tuple[list[int], int]) -> None:
    assert count(encode(array(drawn[0]), drawn[1])) == len(drawn[0])


@given(st.binary(max_size=60), sizes)
def test_d4_no_bytes_decode_to_more_than_was_counted(data: bytes, size: int) -> None:
    found = accepted(data, size)
    assert found is None or len(found) == count(data)


@pytest.mark.parametrize("form", ["bitmap", "gaps"])
def test_d4_a_set_takes_memory_for_its_indices_and_not_for_its_universe(form: str) -> None:
    size = 2**28
    data = b"\0" + bytes(size // 8) if form == "bitmap" else b"\1" + leb128(size - 1)
    tracemalloc.start()
    try:
        accepted(data, size)
        assert tracemalloc.get_traced_memory()[1] < size // 6  # one more of its bytes, no byte for each bit
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("universe", "union"),
    [
        (10**3, 100),
        (10**4, 100),
        (10**5, 100),
        (10**6, 200),
        (10**7, 2000),
        (10**8, 20_000),
        (10**9, 200),
        (10**9, 10**5),
    ],
)
def test_the_plan_knows_how_long_an_announced_union_is(universe: int, union: int) -> None:
    plan = psu.plan_union(universe, union, clients=100)
    size = round(plan.expected_union + plan.expected_false)
    decoded = np.sort(np.random.default_rng(2).choice(universe, size, replace=False))
    assert len(encode(decoded, universe)) == pytest.approx(plan.bytes_down, abs=2 * size**0.5)
