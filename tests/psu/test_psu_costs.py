"""The plan's closed forms beside brute force and Monte Carlo, for universes from 10^3 to 10^9."""

from fractions import Fraction
from functools import reduce
from itertools import product
from math import exp, inf

import numpy as np
import pytest

import bloom
from psu import UnionPlan, decode, encode, plan_union
from psu.plan import MAX_CELLS, cell_loss

UNIONS = [(10**3, 100), (10**4, 300), (10**5, 3000), (10**6, 1000), (10**7, 10_000), (10**8, 10_000), (10**9, 100_000)]


def least_bits(hashes, loss):
    return next((b for b in range(2, 33) if 1 - (1 - cell_loss(b, 2)) ** hashes <= loss), None)


def brute_force(universe, union, price):
    """The fewest bytes over all hashes and a fine grid of sizes, by the usual formula."""
    loss = Fraction(1, 255)
    best = universe * least_bits(1, loss) / 8 if universe <= MAX_CELLS else inf
    for hashes in range(1, 33):
        bits = least_bits(hashes, loss)
        for step in range(400):
            cells = int(union * 1.01**step)
            rate = (1 - exp(-hashes * union / cells)) ** hashes
            if rate <= 0.01:
                best = min(best, cells * bits / 8 + (universe - union) * rate * price)
    return best


@pytest.mark.parametrize("price", [0.5, 2.0, 30.0])
@pytest.mark.parametrize(("universe", "union"), UNIONS)
def test_no_other_encoding_moves_fewer_bytes(universe, union, price):
    plan = plan_union(universe, union, clients=100, bytes_per_index=price)
    best = brute_force(universe, union, price)
    assert 0.99 * best < plan.bytes_total(price) < 1.001 * best  # the grid is coarse at the highest rate accepted
    assert plan.kind == ("bitmap" if universe == 1000 else "filter")


@pytest.mark.parametrize(("universe", "union"), UNIONS[1:])
def test_false_indices_are_as_many_as_expected(universe, union):
    """Of two million sampled absent indices; the sampled count is Poisson, filters vary less."""
    plan = plan_union(universe, union, clients=100, bytes_per_index=0.05)
    known = bloom.BloomFilter(plan.cells, plan.hashes)
    known.insert(np.arange(union))
    absent = np.arange(union, universe)[:: max(1, (universe - union) // 2_000_000)] if universe < 10**8 else None
    if absent is None:
        absent = np.random.default_rng(0).integers(union, universe, 2_000_000)
    expected = plan.expected_false * absent.size / (universe - union)
    assert expected > 50
    assert known.contains(absent).sum() == pytest.approx(expected, abs=5 * expected**0.5 + 0.02 * expected)


def shared(plan, holders, rng):
    """Random index sets in which holders[x] indices have exactly x clients, and their union."""
    counts = rng.permutation(np.repeat(list(holders), list(holders.values())))
    union = np.sort(rng.choice(plan.universe, counts.size, replace=False))
    owned = np.zeros((plan.clients, counts.size), bool)
    for column, count in enumerate(counts):
        owned[rng.choice(plan.clients, count, replace=False), column] = True
    return union, [union[mine] for mine in owned]


@pytest.mark.parametrize(
    ("plan", "holders"),
    [
        (UnionPlan("bitmap", 1000, 60, 10, 1000, 3, 1), {1: 30, 2: 20, 3: 10}),
        (UnionPlan("filter", 1000, 60, 40, 400, 4, 4), {1: 30, 2: 20, 3: 10}),
        (UnionPlan("filter", 1000, 60, 40, 400, 2, 4), {1: 30, 2: 20, 3: 10}),
        (UnionPlan("filter", 1000, 60, 60, 346, 5, 4), {1: 60}),
        (UnionPlan("filter", 1000, 60, 60, 2000, 3, 1), {1: 20, 2: 40}),
    ],
    ids=["bitmap", "filter", "narrow cells", "lone holders", "one hash"],
)
def test_lost_indices_are_as_many_as_expected(plan, holders):
    rng, lost = np.random.default_rng(5), []
    for _ in range(150):
        union, sets = shared(plan, holders, rng)
        found = decode(plan, reduce(np.add, [encode(plan, own, rng.bytes) for own in sets]))
        lost.append(union.size - np.isin(union, found).sum())
    expected, spread = plan.expected_lost(holders), np.std(lost) / len(lost) ** 0.5
    assert np.mean(lost) == pytest.approx(expected, abs=4 * spread + 0.04 * expected)
    assert expected <= sum(count * plan.loss_probability(x) for x, count in holders.items()) * (1 + 1e-12)


def test_an_index_is_not_among_what_else_falls_into_its_cells():
    plan = UnionPlan("filter", 10, 2, 9, 1, 2, 3)
    assert plan.expected_lost({1: 1}) == 0
    assert plan.expected_lost({1: 2}) == pytest.approx(2 * (1 - (1 - 1 / 3) ** 3))  # two residues in the only cell


def test_lost_indices_of_a_bitmap_are_those_of_all_blindings():
    plan = UnionPlan("bitmap", 10, 3, 3, 10, 2, 1)
    for holders in (1, 2, 3):
        sums = [sum(blinding) % 4 for blinding in product(range(1, 4), repeat=holders)]
        assert plan.expected_lost({holders: 7}) == pytest.approx(7 * sums.count(0) / len(sums))
    assert plan.expected_lost({}) == 0
    with pytest.raises(ValueError, match="holders=4"):
        plan.expected_lost({4: 1})
