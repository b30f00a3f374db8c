import tracemalloc
from math import inf

import mmh3
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bloom
from bloom import BloomFilter, FilterError
from bloom.positions import cell_of, probes

KEY = st.integers(0, 2**64 - 1)
KEYS = st.lists(KEY, max_size=50)
CELLS = st.one_of(st.integers(1, 300), st.sampled_from([2**16, 2**31, 2**32 - 1]))

CELLS_SMALL = st.integers(1, 300) | st.just(2**16)


def as_keys(values):
    return np.array(values, dtype=np.uint64)


def oracle(key, cells, hashes):
    start, step = mmh3.hash64(key if isinstance(key, bytes) else key.to_bytes(8, "little"), 0, signed=False)
    return [((start + i * (step | 1)) % 2**64 * cells) >> 64 for i in range(hashes)]


@given(keys=KEYS, cells=CELLS, hashes=st.integers(1, 32))
def test_positions_equal_those_of_mmh3_in_big_integers(keys, cells, hashes):
    found = bloom.positions(as_keys(keys), cells, hashes)
    assert found.dtype == np.int64
    assert found.shape == (len(keys), hashes)
    assert found.tolist() == [oracle(key, cells, hashes) for key in keys]


def test_probes_are_both_halves_of_the_hash_with_an_odd_step():
    halves = [mmh3.hash64(key.to_bytes(8, "little"), 0, signed=False) for key in range(100)]
    assert any(step % 2 == 0 for _, step in halves)  # an even step would never reach some cells
    start, step = probes(np.arange(100))
    assert list(zip(start.tolist(), step.tolist(), strict=True)) == [(first, second | 1) for first, second in halves]


@pytest.mark.parametrize("cells", [1, 2, 3, 2**31, 2**32 - 1])
def test_range_reduction_is_exact_at_the_edges(cells):
    edges = [0, 1, 2**32 - 1, 2**32, 2**63, 2**64 - 2**32, 2**64 - 1]
    assert cell_of(as_keys(edges), cells).tolist() == [(edge * cells) >> 64 for edge in edges]


@pytest.mark.parametrize(
    "keys",
    [[3, 5, 8], np.array([3, 5, 8], ">u8"), np.array([3, 0, 5, 0, 8, 0])[::2], np.array([3, 5, 8], np.int16)],
    ids=["list", "big-endian", "non-contiguous", "narrow"],
)
def test_keys_of_every_integer_form_fall_on_the_same_cells(keys):
    assert np.array_equal(bloom.positions(keys, 1000, 5), bloom.positions(as_keys([3, 5, 8]), 1000, 5))


def test_a_list_may_hold_keys_on_both_sides_of_2_63():
    """NumPy makes floats of these."""
    filled = BloomFilter(1000, 5)
    filled.insert([2**64 - 1, 0, 2**53 + 1])
    assert filled.contains((2**53 + 1, 0, 2**64 - 1)).all()
    assert np.array_equal(bloom.positions([2**64 - 1, 0], 1000, 5), bloom.positions(as_keys([2**64 - 1, 0]), 1000, 5))


@pytest.mark.parametrize(
    "keys",
    [[-1], [2**64], [-1, 2**64 - 1], [0.5], [[1]], np.array(3), np.array([True]), ["a"]],
    ids=lambda keys: repr(keys)[:20],
)
def test_what_is_no_vector_of_keys_is_refused(keys):
    with pytest.raises(FilterError, match="keys must"):
        BloomFilter(8, 2).insert(keys)


@given(keys=KEYS, others=KEYS, cells=st.integers(1, 300), hashes=st.integers(1, 8))
def test_a_filter_is_the_set_of_its_cells(keys, others, cells, hashes):
    filled = BloomFilter(cells, hashes)
    filled.insert(as_keys(keys))
    occupied = {cell for key in keys for cell in oracle(key, cells, hashes)}
    assert filled.contains(as_keys(keys)).all()
    assert filled.contains(as_keys(others)).tolist() == [
        occupied.issuperset(oracle(key, cells, hashes)) for key in others
    ]


@given(keys=KEYS, others=st.lists(st.binary(max_size=40), max_size=20), cells=CELLS_SMALL, hashes=st.integers(1, 32))
def test_bytes_are_hashed_by_mmh3_and_eight_of_them_are_the_integer_they_spell(keys, others, cells, hashes):
    spelled = [key.to_bytes(8, "little") for key in keys]
    whole, spelled_out = BloomFilter(cells, hashes), BloomFilter(cells, hashes)
    whole.insert(as_keys(keys))
    spelled_out.insert_bytes(spelled)
    assert whole == spelled_out
    assert whole.contains_bytes(spelled).all()
    occupied = {cell for key in spelled for cell in oracle(key, cells, hashes)}
    assert whole.contains_bytes(iter(others)).tolist() == [
        occupied.issuperset(oracle(key, cells, hashes)) for key in others
    ]


@pytest.mark.parametrize("keys", [["text"], [5], [None], b"bytes"], ids=repr)
def test_what_is_not_bytes_is_refused(keys):
    with pytest.raises(FilterError, match="keys must be bytes"):
        BloomFilter(8, 2).insert_bytes(keys)
    with pytest.raises(FilterError, match="keys must be bytes"):
        BloomFilter(8, 2).contains_bytes(keys)


def test_members_are_the_contained_keys_of_a_range():
    filled = BloomFilter(500, 3)
    filled.insert(np.arange(0, 3000, 60))
    universe = np.arange(2000)
    assert filled.members(100, 2000).tolist() == universe[100:][filled.contains(universe[100:])].tolist()
    assert filled.members(7, 7).shape == (0,)
    for start, stop in ((-1, 5), (6, 5), (0, 2**63)):
        with pytest.raises(FilterError, match="start"):
            filled.members(start, stop)


def test_a_superset_holds_every_key():
    filled = BloomFilter(5000, 4)
    filled.insert(np.arange(50))
    assert filled.issuperset(np.arange(50))
    assert not filled.issuperset(np.arange(1000))
    assert filled.issuperset([])


@given(keys=KEYS, others=KEYS)
def test_union_of_filters_is_the_filter_of_the_union(keys, others):
    one, two, both = (BloomFilter(97, 3) for _ in range(3))
    one.insert(as_keys(keys))
    two.insert(as_keys(others))
    both.insert(as_keys(keys + others))
    assert one.union(two) == both == two.union(one)
    assert both != BloomFilter(97, 4)
    assert both != "a filter"


def test_filters_of_different_shape_have_no_union():
    with pytest.raises(FilterError, match="same cells and hashes"):
        BloomFilter(8, 2).union(BloomFilter(8, 3))


def test_measured_false_positives_agree_with_the_exact_rate():
    rates = []
    for trial in range(400):  # disjoint keys each time: as many independent filters
        filled = BloomFilter(64, 2)
        keys = np.arange(1000 * trial, 1000 * trial + 1000)
        filled.insert(keys[:10])
        rates.append(filled.contains(keys[10:]).mean())
    spread = np.std(rates) / len(rates) ** 0.5
    # Double hashing is a little worse than independent cells in a filter this small: of order 1 / cells.
    assert bloom.false_positive_rate(64, 2, 10) == pytest.approx(np.mean(rates), abs=4 * spread + 1 / 640)
    assert spread < 0.003


def test_rate_of_a_filter_is_that_of_its_occupied_cells():
    filled = BloomFilter(1024, 7)
    assert (filled.occupied, filled.false_positive_rate) == (0, 0)
    rates = []
    for trial in range(300):
        filled = BloomFilter(1024, 7)
        filled.insert(np.arange(100 * trial, 100 * trial + 100))
        assert filled.occupied == len(np.unique(bloom.positions(np.arange(100 * trial, 100 * trial + 100), 1024, 7)))
        assert filled.false_positive_rate == pytest.approx((filled.occupied / 1024) ** 7)
        rates.append(filled.false_positive_rate)
    assert np.mean(rates) == pytest.approx(bloom.false_positive_rate(1024, 7, 100), rel=0.05)
    absent = filled.contains(np.arange(10**6, 2 * 10**6)).mean()
    assert absent == pytest.approx(filled.false_positive_rate, rel=0.1)


def test_estimate_follows_the_number_of_keys():
    filled = BloomFilter(20_000, 5)
    assert filled.estimate() == 0
    filled.insert(np.arange(2000))
    assert filled.estimate() == pytest.approx(2000, rel=0.03)


def test_d4_a_saturated_filter_finds_everything_and_estimates_infinity():
    full = BloomFilter.from_occupied(np.ones(50, np.bool_), 7)
    assert full.contains(np.arange(1000)).all()
    assert full.estimate() == inf


def test_d4_chosen_collisions_add_false_keys_but_hide_none():
    filled = BloomFilter(60, 2)
    filled.insert([1, 2, 3])
    universe = np.arange(5000)
    collisions = universe[filled.contains(universe)]
    assert len(collisions) > 3  # found by search, as an attacker would
    before = filled.to_bytes()
    filled.insert(collisions)
    assert filled.to_bytes() == before
    assert filled.contains([1, 2, 3]).all()


@given(keys=KEYS, cells=st.integers(1, 300), hashes=st.integers(1, 32))
def test_bytes_come_back_as_the_same_filter(keys, cells, hashes):
    filled = BloomFilter(cells, hashes)
    filled.insert(as_keys(keys))
    data = filled.to_bytes()
    assert len(data) == 6 + -(-cells // 8)
    assert BloomFilter.from_bytes(data) == filled
    assert BloomFilter.from_bytes(data).to_bytes() == data


@given(data=st.binary(max_size=20))
def test_any_bytes_are_a_canonical_filter_or_an_error(data):
    try:
        decoded = BloomFilter.from_bytes(data)
    except FilterError:
        return
    assert decoded.to_bytes() == data


HEADER = b"\x01\x03\x0a\x00\x00\x00"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "header"),
        (HEADER, "bytes"),
        (HEADER + b"\x00\x00\x00", "bytes"),
        (b"\x02" + HEADER[1:] + b"\x00\x00", "version"),
        (HEADER + b"\x00\x04", "padding"),
        (b"\x01\x00\x0a\x00\x00\x00\x00\x00", "hashes"),
        (b"\x01\x03\x00\x00\x00\x00", "cells"),
        (b"\x01\x03\xff\xff\xff\xff\x00", "bytes"),
    ],
)
def test_d4_malformed_filters_are_refused(data, reason):
    with pytest.raises(FilterError, match=reason):
        BloomFilter.from_bytes(data)


@given(data=st.data(), cells=CELLS_SMALL, hashes=st.integers(1, 32), keys=KEYS)
def test_d4_e3_a_changed_filter_is_refused_or_one(data, cells, hashes, keys):
    filled = BloomFilter(cells, hashes)
    filled.insert(as_keys(keys))
    whole = bytearray(filled.to_bytes())
    match data.draw(st.sampled_from(["byte", "header", "cut", "more"])):
        case "byte":
            whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
        case "header":
            whole[: len(HEADER)] = data.draw(st.binary(min_size=len(HEADER), max_size=len(HEADER)))
        case "cut":
            del whole[data.draw(st.integers(0, len(whole) - 1)) :]
        case "more":
            whole += data.draw(st.binary(min_size=1, max_size=9))
    try:
        decoded = BloomFilter.from_bytes(bytes(whole))
    except FilterError:
        return
    assert decoded.to_bytes() == whole
    assert 0 <= decoded.occupied <= decoded.cells
    assert decoded.estimate() >= 0
    assert decoded.contains(as_keys(keys)).shape == (len(keys),)


@pytest.mark.parametrize("cells", [2**20, 2**31, 2**32 - 1])
def test_d4_cells_that_are_not_there_take_no_memory(cells):
    tracemalloc.start()
    try:
        with pytest.raises(FilterError, match="does not have 8 bytes"):
            BloomFilter.from_bytes(b"\x01\x03" + cells.to_bytes(4, "little") + b"\x00\x00")
        assert tracemalloc.get_traced_memory()[1] < 50_000
    finally:
        tracemalloc.stop()


def test_d4_a_filter_above_the_limit_is_refused():
    data = BloomFilter(100, 2).to_bytes()
    assert BloomFilter.from_bytes(data, max_cells=100).cells == 100
    with pytest.raises(FilterError, match="max_cells=99"):
        BloomFilter.from_bytes(data, max_cells=99)


def test_repr_says_nothing_of_the_keys():
    empty, filled = BloomFilter(100, 2), BloomFilter(100, 2)
    filled.insert([5])
    assert repr(filled) == repr(empty) == "BloomFilter(cells=100, hashes=2)"


@pytest.mark.parametrize(
    ("packed", "cells", "reason"),
    [
        (np.zeros(2, np.uint8), 17, "packed into 3 bytes"),
        (np.zeros((2, 1), np.uint8), 16, "packed into 2 bytes"),
        (np.zeros(2, np.int8), 16, "packed into 2 bytes"),
        (np.array([0, 8], np.uint8), 11, "padding"),
        (np.zeros(0, np.uint8), 0, "cells"),
    ],
)
def test_packed_cells_of_another_form_are_refused(packed, cells, reason):
    with pytest.raises(FilterError, match=reason):
        BloomFilter.from_packed(packed, cells, 2)


@pytest.mark.parametrize("occupied", [np.zeros(3, np.uint8), np.zeros((2, 2), np.bool_), np.zeros(0, np.bool_)])
def test_only_a_bool_vector_makes_a_filter(occupied):
    with pytest.raises(FilterError):
        BloomFilter.from_occupied(occupied, 2)
