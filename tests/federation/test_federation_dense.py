"""Strategies on one vector: what the sums make of a model, also when sums are lost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from securefl.federation.dense import MIFA, FedAvg, FedLaAvg, FedProx

CLIENTS, SIZE = 6, 3
SAMPLES = np.array([1, 2, 3, 4, 5, 6])


def drawn(seed: int, cohort: NDArray[np.int64]) -> NDArray[np.float32]:
    """Updates that are whole numbers: their sums are exact."""
    return np.random.default_rng(seed).integers(-9, 10, (cohort.size, SIZE)).astype(np.float32)


def test_fedavg_is_the_mean_by_samples() -> None:
    cohort = np.array([1, 4])
    updates = np.array([[1, 0, 0], [0, 7, 0]], np.float32)
    values, weights = FedAvg().contributions(cohort, updates, SAMPLES[cohort])
    step = FedAvg().step(values.sum(axis=0), float(weights.sum()))
    assert step.tolist() == pytest.approx([2 / 7, 5, 0])
    assert step.dtype == np.float32
    assert (FedAvg().loss_scale(SAMPLES) == 1).all()


def test_fedprox_is_fedavg_with_a_pull() -> None:
    assert FedProx(1.5).proximal == 1.5
    assert isinstance(FedProx(1.5), FedAvg)
    assert FedAvg().proximal == FedLaAvg(1, 1, 1).proximal == 0


def test_losses_are_scaled_by_samples() -> None:
    assert FedLaAvg(6, SIZE, 21).loss_scale(SAMPLES).tolist() == pytest.approx((SAMPLES * 6 / 21).tolist())


rounds = st.lists(
    st.tuples(st.sets(st.integers(0, CLIENTS - 1), min_size=1), st.sets(st.integers(0, CLIENTS - 1)), st.booleans()),
    min_size=1,
    max_size=12,
)


@pytest.mark.parametrize("rule", [FedLaAvg, MIFA])
@given(past=rounds, seed=st.integers(0, 999))
def test_the_mean_telescopes_whatever_is_lost(rule: type, past: list[Any], seed: int) -> None:
    """After any losses the direction is the mean of every client's latest update that was in an opened sum."""
    strategy, latest = rule(CLIENTS, SIZE, 21), np.zeros((CLIENTS, SIZE))
    for number, (members, lost, opened) in enumerate(past):
        cohort = np.array(sorted(members))
        updates = drawn(seed + number, cohort)
        values, _ = strategy.contributions(cohort, updates, SAMPLES[cohort])
        there = ~np.isin(cohort, sorted(lost))
        if not opened or not there.any():
            continue
        strategy.confirm(cohort[there])
        step = strategy.step(values[there].sum(axis=0), 0.0)
        latest[cohort[there]] = updates[there]
        assert step == pytest.approx(latest.mean(axis=0), abs=1e-5)
