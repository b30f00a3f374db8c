"""Rules on per-row sums: by hand, over every cohort there is, and with heat from a secure sum."""

from __future__ import annotations

import pickle
from fractions import Fraction
from itertools import combinations
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dp import DiscreteGaussian
from securefl import simulate
from securefl.errors import ConfigurationError, LocalProtocolError
from securefl.federation.heat import CountedHeat, RunningHeat, counted, indicators
from securefl.federation.strategy import FedAvg, FedSubAvg, SubmodelAvg, strategy_of
from securefl.models import LocalUpdate
from securefl.models.interface import RowUpdate
from securefl.submodel import Quantization, RoundSums
from securefl.submodel.server import RowSums

HOW = Quantization(16, 32767.0, 512)
"""One level is 1: integers stand for themselves."""
ROWS = 4


def update(samples: int, rows: dict[int, tuple[float, int]]) -> LocalUpdate:
    """A client that moved the dense vector by 1 and each of its rows by a number, with a count."""
    indices = np.array(sorted(rows), np.int64)
    deltas = np.array([[rows[j][0]] for j in sorted(rows)], np.float32).reshape(-1, 1)
    counts = np.array([rows[j][1] for j in sorted(rows)], np.int64)
    dense, table = np.array([min(1, samples)], np.float32), RowUpdate(indices, deltas, counts)
    return LocalUpdate(dense, {"items": table}, samples, 0.0, np.zeros(1, np.float32))


def opened(rule: Any, clients: list[LocalUpdate]) -> RoundSums:
    """What a round of these clients opens, over the full table."""
    sums, counts, dense, weight = np.zeros((ROWS, 1), np.int64), np.zeros(ROWS, np.int64), 0.0, 0
    for client in clients:
        whole, parts = rule.weigh(client)
        rows = client.rows["items"]
        sums[rows.indices] += (parts["items"][:, None] * rows.deltas).astype(np.int64)
        counts[rows.indices] += parts["items"]
        dense, weight = dense + whole * client.dense[0], weight + whole
    survivors = tuple(range(1, len(clients) + 1))
    table = RowSums(np.arange(ROWS), sums, counts)
    return RoundSums(np.arange(ROWS), {"items": table}, np.array([dense], np.int64), weight, 0, survivors)


def moved(rule: Any, clients: list[LocalUpdate]) -> list[float]:
    """By how much each row moves, then the dense parameter."""
    tables = {"items": np.zeros((ROWS, 1), np.float32)}
    dense = rule.apply(np.zeros(1, np.float32), tables, opened(rule, clients))
    return [*tables["items"][:, 0].tolist(), float(dense[0])]


CLIENTS = [update(4, {0: (8, 1), 1: (6, 4)}), update(2, {0: (2, 2), 2: (4, 2)}), update(0, {})]


def test_submodel_averaging_weighs_a_row_by_its_samples() -> None:
    assert moved(SubmodelAvg(HOW, HOW), CLIENTS) == pytest.approx([12 / 3, 6, 4, 0, 1])


def test_federated_averaging_has_one_denominator() -> None:
    assert moved(FedAvg(HOW, HOW), CLIENTS) == pytest.approx([(4 * 8 + 2 * 2) / 6, 4 * 6 / 6, 2 * 4 / 6, 0, 1])


def test_fedsubavg_divides_by_heat() -> None:
    heat = CountedHeat({"items": np.array([2, 1, 3, 0])}, 6)
    assert moved(FedSubAvg(HOW, HOW, heat), CLIENTS) == pytest.approx([10 / (3 * 2 / 6), 6 / 0.5, 4 / 1.5, 0, 1])


@pytest.mark.parametrize("name", ["SubmodelAvg", "FedAvg", "FedSubAvg"])
def test_a_round_without_samples_changes_nothing(name: str) -> None:
    assert moved(named(name), [update(0, {}), update(0, {})]) == [0] * (ROWS + 1)


@given(st.lists(st.dictionaries(st.integers(0, ROWS - 1), st.integers(-99, 99), max_size=ROWS), min_size=5, max_size=5))
def test_fedsubavg_moves_a_row_on_average_by_the_mean_of_its_clients(held: list[dict[int, int]]) -> None:
    """Over all cohorts of 2 of 5: the mean step is the mean delta of the clients that involve the row."""
    clients = [update(1, {j: (float(delta), 1) for j, delta in own.items()}) for own in held]
    deltas = [[own[j] for own in held if j in own] for j in range(ROWS)]
    heat = CountedHeat({"items": np.array([len(d) for d in deltas])}, len(held))
    steps = [moved(FedSubAvg(HOW, HOW, heat), list(cohort)) for cohort in combinations(clients, 2)]
    means = [float(np.mean(d)) if d else 0.0 for d in deltas]
    assert np.mean(steps, axis=0)[:ROWS] == pytest.approx(means, abs=1e-3)


def test_running_heat_is_what_the_rounds_showed() -> None:
    rule = FedSubAvg(HOW, HOW, RunningHeat({"items": ROWS}))
    assert moved(rule, CLIENTS)[:3] == pytest.approx([5, 6, 4])  # one round: the mean of those that were there
    assert moved(rule, CLIENTS[1:2])[0] == pytest.approx(2 / (3 / 4))
    assert rule.heat.share("items", np.arange(ROWS)) == pytest.approx([3 / 4, 1 / 4, 2 / 4, 1 / 4])


def test_running_heat_nears_the_true_one() -> None:
    generator, involved = np.random.default_rng(5), np.random.default_rng(1).random((200, ROWS)) < [0.02, 0.1, 0.5, 1]
    rule = FedSubAvg(HOW, HOW, RunningHeat({"items": ROWS}))
    for _ in range(300):
        cohort = generator.choice(200, 20, replace=False)
        moved(rule, [update(1, dict.fromkeys(np.flatnonzero(involved[u]).tolist(), (1.0, 1))) for u in cohort])
    assert rule.heat.share("items", np.arange(ROWS)) == pytest.approx(involved.mean(axis=0), rel=0.25)


def test_a_strategy_goes_on_from_its_state() -> None:
    one, two = named("FedSubAvg"), named("FedSubAvg")
    moved(one, CLIENTS)
    for name, saved in one.state.items():
        two.state[name][...] = saved
    assert moved(one, CLIENTS) == moved(two, CLIENTS)
    assert named("FedAvg").state == {}


def test_the_clients_part_travels_to_other_processes() -> None:
    for name in ("SubmodelAvg", "FedAvg", "FedSubAvg"):
        assert pickle.loads(pickle.dumps(named(name).weigh)) is named(name).weigh  # noqa: S301 - our own bytes


def named(name: str) -> Any:
    table = SimpleNamespace(name="items", rows=ROWS)
    plan: Any = SimpleNamespace(tables=(table,), row_quantization=HOW, dense_quantization=HOW)
    return strategy_of(name, plan)


def test_an_unknown_strategy_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="use SubmodelAvg, FedAvg, FedProx or FedSubAvg"):
        named("FedSGD")


def test_heat_from_a_secure_sum_is_the_count_of_holders() -> None:
    rows = {"items": 6, "categories": 3}
    held = [{"items": np.array([0, 5]), "categories": np.array([1])}, {"items": np.array([5])}, {}]
    summed = simulate([indicators(one, rows) for one in held])
    heat = counted(summed.total, rows, len(summed.survivors))
    assert heat.counts["items"].tolist() == [1, 0, 0, 0, 0, 2]
    assert heat.counts["categories"].tolist() == [0, 1, 0]
    assert heat.share("items", np.array([0, 1, 5])) == pytest.approx([1 / 3, 1 / 3, 2 / 3])


def test_indicators_are_capped_and_noised() -> None:
    rows, own = {"items": 50}, {"items": np.arange(40)}
    kept = indicators(own, rows, most=7)
    assert kept.sum() == 7
    assert set(np.flatnonzero(kept)) <= set(range(40))
    assert {tuple(indicators(own, rows, most=7)) for _ in range(5)} != {tuple(kept)}
    noisy = indicators(own, rows, most=7, noise=DiscreteGaussian(Fraction(4)))
    assert len(set(noisy.tolist())) > 3
    heat = CountedHeat({"items": np.array([-3, 99])}, 10)
    assert heat.share("items", np.arange(2)).tolist() == [0.1, 1.0]


def test_what_cannot_be_counted_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="at least 1"):
        CountedHeat({}, 0)
    with pytest.raises(LocalProtocolError, match="not below 3"):
        indicators({"items": np.array([3])}, {"items": 3})
