from dataclasses import replace
from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bloom
from psu import LOSS_TARGET, PlanError, UnionPlan, plan_union
from psu.plan import MAX_BITS, MAX_CELLS, MAX_UNIVERSE, WIRE, cell_loss

BITMAP = UnionPlan("bitmap", universe=1000, expected_union=100, clients=10, cells=1000, bits=8, hashes=1)
FILTER = UnionPlan("filter", universe=1000, expected_union=100, clients=10, cells=600, bits=12, hashes=4)


@pytest.mark.parametrize("bits", [1, 2, 3])
@pytest.mark.parametrize("occupants", [1, 2, 3, 4])
def test_cell_loss_equals_a_count_of_all_blindings(bits, occupants):
    sums = [sum(blinding) % 2**bits for blinding in product(range(1, 2**bits), repeat=occupants)]
    assert cell_loss(bits, occupants) == Fraction(sums.count(0), len(sums))


@pytest.mark.parametrize("holders", [1, 2, 3, 4])
def test_given_non_zero_a_cell_says_nothing_of_its_holders(holders):
    sums = [sum(blinding) % 8 for blinding in product(range(1, 8), repeat=holders)]
    assert len({sums.count(value) for value in range(1, 8)}) == 1


def test_a_bitmap_never_loses_a_lone_holder_and_a_pair_once_in_255():
    assert BITMAP.loss_probability(1) == 0
    assert BITMAP.loss_probability(2) == Fraction(1, 255) == BITMAP.worst_loss
    assert BITMAP.loss_probability(3) < BITMAP.loss_probability(4) < BITMAP.worst_loss


def test_a_filter_loses_about_hashes_over_modulus_also_for_a_lone_holder():
    wide = replace(FILTER, bits=8, hashes=7)
    assert float(wide.loss_probability(1)) == pytest.approx(0.027, abs=3e-4)
    assert wide.loss_probability(1) == wide.loss_probability(2) == 1 - Fraction(254, 255) ** 7
    assert replace(wide, clients=3).loss_probability(3) == 1 - (1 - cell_loss(8, 3)) ** 7


@given(bits=st.integers(2, 9), clients=st.integers(2, 9), hashes=st.integers(1, 8))
def test_worst_loss_bounds_every_number_of_holders(bits, clients, hashes):
    plan = replace(FILTER, bits=bits, clients=clients, hashes=hashes)
    occupied = [max(cell_loss(bits, y) for y in range(x, clients + 1)) for x in range(1, clients + 1)]
    assert [plan.loss_probability(x) for x in range(1, clients + 1)] == [1 - (1 - p) ** hashes for p in occupied]
    assert max(plan.loss_probability(x) for x in range(1, clients + 1)) == plan.worst_loss


def test_false_positives_of_a_percent_are_counted():
    plan = UnionPlan("filter", 10**6, 1000, clients=100, cells=9587, bits=10, hashes=7)
    assert plan.expected_false == pytest.approx(10_027, rel=1e-3)
    assert plan.bytes_total(2) == plan.bytes_up + 2 * plan.expected_false
    assert plan.false_positive_rate == bloom.false_positive_rate(9587, 7, 1000)


def test_bytes_up_are_those_of_the_packed_cells():
    assert BITMAP.bytes_up == 1000
    assert replace(FILTER, cells=601, bits=11).bytes_up == -(-601 * 11 // 8)
    assert (BITMAP.expected_false, BITMAP.bytes_total(50)) == (0, 1000)


def test_the_default_bitmap_has_eight_bits():
    plan = plan_union(143_534, 5300, clients=100, kind="bitmap")
    assert (plan.cells, plan.bits, plan.hashes) == (143_534, 8, 1)


@settings(max_examples=15)
@given(
    universe=st.integers(1, 10**6),
    share=st.floats(0, 1),
    rate=st.floats(1e-4, 0.3),
    loss=st.floats(1e-6, 0.2),
    cost=st.floats(0, 200),
)
def test_a_plan_meets_its_targets_and_moves_no_more_than_a_bitmap(universe, share, rate, loss, cost):
    expected = max(1, int(universe * share))
    targets = {"clients": 20, "false_positive_rate": rate, "loss_target": loss, "bytes_per_index": cost}
    plan = plan_union(universe, expected, **targets)
    assert plan.worst_loss <= loss
    assert plan.false_positive_rate <= rate
    assert plan.bytes_total(cost) <= plan_union(universe, expected, kind="bitmap", **targets).bytes_total(cost)
    assert plan.kind == "filter" or 1 - (1 - cell_loss(plan.bits - 1, 2)) > loss or plan.bits == 2


@pytest.mark.parametrize(
    ("universe", "expected", "cost", "kind"),
    [(10**6, 1000, 2, "filter"), (10**6, 200_000, 2, "bitmap"), (1000, 900, 0, "bitmap"), (10**9, 5000, 1, "filter")],
)
def test_the_encoding_that_moves_fewer_bytes_is_chosen(universe, expected, cost, kind):
    plans = {}
    for choice in ("bitmap", "filter"):
        try:
            plan = plan_union(universe, expected, clients=100, kind=choice, bytes_per_index=cost)
        except PlanError:
            continue
        plans[plan.bytes_total(cost)] = choice
    assert plans[min(plans)] == kind
    assert plan_union(universe, expected, clients=100, bytes_per_index=cost).kind == kind


def test_dear_false_positives_buy_more_hashes():
    cheap, dear = (plan_union(10**6, 1000, clients=9, bytes_per_index=cost) for cost in (0.1, 100))
    assert dear.expected_false < cheap.expected_false
    assert dear.hashes > cheap.hashes


def test_forced_bits_are_kept_if_they_meet_the_loss_target():
    assert plan_union(1000, 500, clients=9, bits=20).bits == 20
    with pytest.raises(PlanError, match=r"bits=7 .* use bits=8"):
        plan_union(1000, 500, clients=9, bits=7)


@given(
    universe=st.integers(1, 10**6),
    clients=st.integers(2, 2**16),
    bits=st.integers(2, 32),
    hashes=st.integers(1, 32),
    cells=st.integers(1, MAX_CELLS),
)
def test_bytes_come_back_as_the_same_plan(universe, clients, bits, hashes, cells):
    for plan in (
        UnionPlan("bitmap", universe, universe, clients, universe, bits, 1),
        UnionPlan("filter", universe, 1, clients, cells, bits, hashes),
    ):
        assert UnionPlan.from_bytes(plan.to_bytes()) == plan
        assert len(plan.to_bytes()) == 28


@given(data=st.binary(max_size=60) | st.binary(min_size=26, max_size=26).map(lambda tail: b"\x01\x01" + tail))
def test_any_bytes_are_a_canonical_plan_or_an_error(data):
    try:
        plan = UnionPlan.from_bytes(data)
    except PlanError:
        return
    assert plan.to_bytes() == data


@pytest.mark.parametrize(
    ("place", "byte", "reason"), [(0, 2, "version"), (1, 2, "kind"), (26, 1, "bits"), (27, 0, "hashes")]
)
def test_d4_malformed_plans_are_refused(place, byte, reason):
    data = bytearray(FILTER.to_bytes())
    data[place] = byte
    with pytest.raises(PlanError, match=reason):
        UnionPlan.from_bytes(bytes(data))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", "trie"),
        ("universe", 0),
        ("universe", MAX_UNIVERSE + 1),
        ("expected_union", 0),
        ("expected_union", 1001),
        ("clients", 1),
        ("cells", 0),
        ("cells", MAX_CELLS + 1),
        ("cells", 10.5),
        ("bits", 1),
        ("bits", 33),
        ("hashes", 0),
        ("hashes", 33),
    ],
)
def test_d4_a_plan_out_of_range_names_its_setting(field, value):
    with pytest.raises(PlanError, match=field):
        replace(FILTER, **{field: value})


def test_a_bitmap_has_one_cell_per_index():
    with pytest.raises(PlanError, match="cells = universe"):
        replace(BITMAP, cells=999)
    with pytest.raises(PlanError, match="hashes = 1"):
        replace(BITMAP, hashes=2)


@pytest.mark.parametrize(
    ("wishes", "reason"),
    [
        ({"universe": 0}, "universe"),
        ({"expected_union": 2000}, "expected_union"),
        ({"clients": 1}, "clients"),
        ({"false_positive_rate": 0.0}, "false_positive_rate"),
        ({"false_positive_rate": float("nan")}, "false_positive_rate"),
        ({"loss_target": 1}, "loss_target"),
        ({"loss_target": 1e-10}, "loss_target=1e-10 needs cells of more than 32 bits; use 2.33e-10"),
        ({"bytes_per_index": -1.0}, "bytes_per_index"),
        ({"bytes_per_index": float("inf")}, "bytes_per_index"),
        ({"bits": MAX_BITS + 1}, "bits"),
        ({"kind": "trie"}, "kind"),
        ({"universe": 2**30, "kind": "bitmap"}, "kind='filter'"),
        ({"universe": 2**36, "expected_union": 2**34}, "expected_union"),
    ],
)
def test_impossible_plans_are_refused_by_name(wishes, reason):
    wish = {"universe": 1000, "expected_union": 100, "clients": 10} | wishes
    with pytest.raises(PlanError, match=reason):
        plan_union(wish.pop("universe"), wish.pop("expected_union"), **wish)


def test_the_default_loss_is_that_of_eight_bits():
    assert cell_loss(8, 2) == LOSS_TARGET


EDGES = st.sampled_from([0, 1, 2, 2**16, 2**28, 2**32 - 1, 2**36, 2**64 - 1])


@st.composite
def changed_plans(draw):
    """The bytes of a valid plan with one field, one byte or the length changed."""
    data = bytearray(draw(st.sampled_from([BITMAP, FILTER])).to_bytes())
    match draw(st.sampled_from(["field", "byte", "cut", "more"])):
        case "field":
            fields = list(WIRE.unpack(data))
            place = draw(st.integers(0, len(fields) - 1))
            fields[place] = min(draw(EDGES), [255, 255, 2**64 - 1, 2**64 - 1, 2**32 - 1, 2**32 - 1, 255, 255][place])
            return WIRE.pack(*fields)
        case "byte":
            data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
        case "cut":
            del data[draw(st.integers(0, len(data) - 1)) :]
        case "more":
            data += draw(st.binary(min_size=1, max_size=9))
    return bytes(data)


@given(data=changed_plans())
def test_d4_e3_a_changed_plan_is_refused_or_one_that_can_be_reckoned_with(data):
    try:
        plan = UnionPlan.from_bytes(data)
    except PlanError:
        return
    assert plan.to_bytes() == data
    assert 0 <= plan.false_positive_rate <= 1
    assert 0 <= plan.worst_loss <= plan.hashes
    assert 0 <= plan.expected_false <= plan.universe
    assert 0 < plan.bytes_down < 2**40
    assert 0 <= plan.expected_lost({1: plan.expected_union}) <= plan.expected_union
