from dataclasses import replace
from functools import reduce
from itertools import combinations, product
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bloom
from dp import PrivacyError
from psu import EncodingError, OversizedUnionError, UnionPlan, decode, decode_chunks, encode, plan_union
from psu.encoding import CHUNK

SIX = UnionPlan("bitmap", universe=6, expected_union=3, clients=2, cells=6, bits=8, hashes=1)
SIX_FILTERED = UnionPlan("filter", universe=6, expected_union=3, clients=2, cells=17, bits=16, hashes=2)
ALMOST_LOSSLESS = {kind: plan_union(5000, 100, clients=5, loss_target=1e-8, kind=kind) for kind in ("bitmap", "filter")}
SUBSETS = [list(s) for size in range(7) for s in combinations(range(6), size)]


def filter_of(plan, indices):
    made = bloom.BloomFilter(plan.cells, plan.hashes)
    made.insert(indices)
    return made


@pytest.mark.parametrize("indices", SUBSETS, ids=str)
def test_every_set_of_a_tiny_universe_comes_back(indices, stream):
    assert decode(SIX, encode(SIX, indices, stream)).tolist() == indices
    found = decode(SIX_FILTERED, encode(SIX_FILTERED, indices, stream))
    assert found.tolist() == np.flatnonzero(filter_of(SIX_FILTERED, indices).contains(np.arange(6))).tolist()


def test_every_pair_of_sets_of_a_tiny_universe_gives_its_union_less_what_cancelled(stream):
    pairs = list(product(SUBSETS, repeat=2))  # side by side in one plan: cells are independent
    plan = replace(SIX, universe=6 * len(pairs), cells=6 * len(pairs))
    one, two = ([6 * place + index for place, pair in enumerate(pairs) for index in pair[side]] for side in (0, 1))
    found = set(decode(plan, encode(plan, one, stream) + encode(plan, two, stream)).tolist())
    union, twice = set(one) | set(two), set(one) & set(two)
    assert len(twice) == 6 * 4**5
    assert union - twice <= found <= union
    lost = len(union - found)
    fewer = sum(comb(len(twice), k) * 254 ** (len(twice) - k) for k in range(lost)) / 255 ** len(twice)
    assert 1e-4 < fewer < 1 - 1e-4  # exact binomial: a pair cancels once in 255


@given(
    sets=st.lists(st.sets(st.integers(0, 4999), max_size=30).map(sorted), min_size=1, max_size=5),
    kind=st.sampled_from(["bitmap", "filter"]),
)
def test_the_sum_decodes_to_the_union(sets, kind):
    plan = ALMOST_LOSSLESS[kind]
    source = np.random.default_rng(len(sets)).bytes
    found = decode(plan, reduce(np.add, [encode(plan, indices, source) for indices in sets]))
    union = sorted(set().union(*sets))
    assert found.dtype == np.int64
    expected = union if kind == "bitmap" else np.flatnonzero(filter_of(plan, union).contains(np.arange(5000))).tolist()
    assert found.tolist() == expected  # a cell cancels with probability below 1e-9


def test_a_full_width_plan_wraps_as_its_ring_does(stream):
    plan = plan_union(50, 20, clients=9, bits=32, kind="bitmap")
    vectors = [encode(plan, [3, 30], stream) for _ in range(9)]
    assert max(int(v[3]) for v in vectors) > 2**31
    assert decode(plan, reduce(np.add, vectors)).tolist() == [3, 30]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.uint64])
def test_only_the_residues_of_the_sums_count(dtype):
    sums = np.array([0, 1, 255, 0, 7, 0], np.uint8).astype(dtype)
    assert decode(SIX, sums).tolist() == [1, 2, 4]
    if dtype is not np.uint8:
        assert decode(SIX, sums + dtype(256)).tolist() == [1, 2, 4]


def test_blinding_takes_every_value_but_zero_equally_often():
    plan = UnionPlan("bitmap", universe=1, expected_union=1, clients=2, cells=1, bits=8, hashes=1)
    drawn = [int(encode(plan, [0], lambda count, byte=byte: bytes([byte] * count))[0]) for byte in range(255)]
    assert sorted(drawn) == list(range(1, 256))
    with pytest.raises(PrivacyError, match="rng"):  # the byte 255 is rejected: 255 values do not divide 256
        encode(plan, [0], lambda count: b"\xff" * count)


def test_blinding_is_drawn_anew_for_every_cell_and_call(stream):
    plan = plan_union(4000, 2000, clients=9, bits=32, kind="bitmap")
    values = np.concatenate([encode(plan, np.arange(4000), stream) for _ in range(2)])
    assert len(np.unique(values)) > 7990


def test_a_filter_index_occupies_its_positions_and_nothing_else(stream):
    plan = plan_union(10**6, 500, clients=9, kind="filter")
    residues = encode(plan, [123_456], stream)
    expected = np.unique(bloom.positions([123_456], plan.cells, plan.hashes))
    assert np.flatnonzero(residues).tolist() == expected.tolist()
    assert residues.dtype == np.uint32
    assert int(residues.max()) < 2**plan.bits


@pytest.mark.parametrize("plan", [SIX, SIX_FILTERED])
def test_d9_empty_index_set_is_a_vector_of_zeros(plan):
    residues = encode(plan, [])
    assert residues.shape == (plan.cells,)
    assert not residues.any()
    assert decode(plan, residues).shape == (0,)


@pytest.mark.parametrize("plan", [SIX, SIX_FILTERED])
@pytest.mark.parametrize("bad", [[6], [-1], [2, 1], [3, 3], [0.5], [[1]], np.array([2**64 - 1], np.uint64)], ids=str)
def test_d7_bad_index_sets_are_refused(plan, bad):
    with pytest.raises(EncodingError, match="indices must"):
        encode(plan, bad)


@pytest.mark.parametrize(
    "sums",
    [np.zeros(5, np.uint8), np.zeros((6, 1), np.uint8), np.zeros(6, np.int64), np.zeros(6), np.zeros(6, np.bool_)],
    ids=lambda sums: f"{sums.shape}{sums.dtype}",
)
def test_sums_of_the_wrong_form_are_refused(sums):
    with pytest.raises(EncodingError, match="6 unsigned integers"):
        decode(SIX, sums)


def test_sums_narrower_than_a_cell_are_refused():
    with pytest.raises(EncodingError, match="at least 16 bits"):
        decode(SIX_FILTERED, np.zeros(17, np.uint8))


def test_d4_one_client_that_sets_every_cell_is_stopped_at_the_limit():
    plan = plan_union(10**6, 500, clients=9, kind="filter")
    tested = []
    with pytest.raises(OversizedUnionError, match="limit=1000"):
        decode(plan, np.ones(plan.cells, np.uint32), limit=1000, progress=lambda done, _: tested.append(done))
    assert tested == []  # the first chunk already holds too many


def test_the_limit_itself_is_accepted():
    assert len(decode(SIX, np.ones(6, np.uint8), limit=6)) == 6
    with pytest.raises(OversizedUnionError):
        decode(SIX, np.ones(6, np.uint8), limit=5)


def test_progress_reaches_the_end_in_bounded_steps():
    plan = plan_union(300_000, 10, clients=3, kind="bitmap")
    steps = []
    sums = np.zeros(plan.cells, np.uint8)
    edges = [0, CHUNK - 1, CHUNK, 299_999]
    sums[edges] = 9
    found = decode(plan, sums, progress=lambda done, total: steps.append((done, total)))
    assert found.tolist() == edges
    assert steps == [(CHUNK, 300_000), (300_000, 300_000)]


@pytest.mark.parametrize("kind", ["bitmap", "filter"])
def test_the_union_comes_in_ascending_chunks_of_the_universe(kind, stream):
    plan = plan_union(2 * CHUNK + 1000, 5000, clients=3, kind=kind)
    held = np.arange(0, plan.universe, 111)
    sums = encode(plan, held, stream)
    chunks = list(decode_chunks(plan, sums))
    assert [set(chunk // CHUNK) for chunk in chunks] == [{0}, {1}, {2}]
    assert np.concatenate(chunks).tolist() == decode(plan, sums).tolist()
    assert np.isin(held, decode(plan, sums)).all()


def test_chunks_refuse_wrong_sums_before_the_first_is_asked_for():
    with pytest.raises(EncodingError, match="6 unsigned integers"):
        decode_chunks(SIX, np.zeros(5, np.uint8))


def test_measured_false_positives_are_those_the_plan_expects(stream):
    plan = plan_union(200_000, 1000, clients=5, false_positive_rate=0.02, bytes_per_index=0.0, kind="filter")
    held = np.arange(0, 200_000, 200)
    found = decode(plan, encode(plan, held, stream))
    assert np.isin(held, found).all()
    assert len(found) - 1000 == pytest.approx(plan.expected_false, rel=0.15)


def test_d3_the_length_of_a_vector_does_not_depend_on_the_set(stream):
    plan = plan_union(1000, 100, clients=5, kind="filter")
    assert len({encode(plan, indices, stream).nbytes for indices in ([], [1], list(range(900)))}) == 1
