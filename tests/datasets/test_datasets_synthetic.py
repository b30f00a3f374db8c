"""Generated logs: repeatable, of the promised size, with popular items and a taste to learn."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from securefl.datasets import PRESETS, ClickLog, SyntheticPlan, synthetic_click_log
from securefl.errors import ConfigurationError
from securefl.models import auc


@pytest.fixture(scope="module")
def small() -> ClickLog:
    return synthetic_click_log("small", seed=1)


def test_the_seed_decides(small: ClickLog) -> None:
    same, other = synthetic_click_log("small", seed=1), synthetic_click_log("small", seed=2)
    assert np.array_equal(small.item, same.item)
    assert np.array_equal(small.category, same.category)
    assert not np.array_equal(small.item[:1000], other.item[:1000])


def test_small_has_the_promised_size(small: ClickLog) -> None:
    assert (small.users, small.items, small.categories) == (2_000, 20_000, 200)
    sizes = [len(small.index_set(user)) for user in range(small.users)]
    assert 30 < np.mean(sizes) < 45
    assert min(sizes) >= 3
    assert np.unique(small.category).tolist() == list(range(200))
    assert 0.4 < small.label.mean() < 0.5


def test_rows_are_grouped_by_user_and_show_an_item_once(small: ClickLog) -> None:
    assert (np.diff(small.user) >= 0).all()
    assert 0 <= small.item.min() <= small.item.max() < small.items
    assert len(np.unique(small.user * small.items + small.item)) == len(small)


def test_items_are_unequally_popular(small: ClickLog) -> None:
    shown = np.sort(np.bincount(small.item, minlength=small.items))[::-1]
    assert shown[:200].sum() > 0.2 * len(small)  # 1 % of the items
    assert (shown == 0).mean() < 0.3


def test_popularity_is_that_of_zipf_where_there_is_no_taste() -> None:
    plan = replace(PRESETS["small"], taste=0.0, items=2_000, users=20_000, clicks=5)
    log = synthetic_click_log(plan)
    clicks = np.sort(np.bincount(log.item[log.label], minlength=plan.items))[::-1]
    weight = (np.arange(plan.items) + plan.head) ** -plan.exponent
    share, expected = (np.cumsum(column) / column.sum() for column in (clicks, weight))
    for top in (20, 200, 1_000):  # evenly drawn items would have shares of 0.01, 0.1 and 0.5
        assert share[top - 1] == pytest.approx(expected[top - 1], rel=0.1)
    assert expected[19] > 0.1


def test_every_user_has_samples_with_and_without_click(small: ClickLog) -> None:
    for clicked in (True, False):
        assert np.unique(small.user[small.label == clicked]).tolist() == list(range(small.users))


def test_small_takes_less_than_two_seconds() -> None:
    start = time.process_time()
    synthetic_click_log("small", seed=3)
    assert time.process_time() - start < 2  # measured: a twentieth of a second


def test_the_global_generator_is_left_alone() -> None:
    before = np.random.get_state()[1].tolist()
    synthetic_click_log("small", seed=3)
    assert np.random.get_state()[1].tolist() == before


def match_auc(log: ClickLog) -> float | None:
    """AUC of the share of a user's earlier clicks that have the target's category."""
    samples, _ = log.held_out(np.arange(300))
    stretches = zip(samples.targets, samples.start, samples.stop, strict=True)
    scores = [
        np.mean(log.category[samples.clicks[start:stop]] == log.category[target]) if stop > start else 0.0
        for target, start, stop in stretches
    ]
    return auc(np.array(scores), samples.labels)


def test_taste_can_be_learned_and_without_taste_there_is_nothing(small: ClickLog) -> None:
    tasteful, blank = match_auc(small), match_auc(synthetic_click_log(replace(PRESETS["small"], taste=0.0), seed=1))
    assert tasteful is not None
    assert blank is not None
    assert tasteful > 0.8
    assert abs(blank - 0.5) < 0.05


def test_shuffled_labels_cannot_be_learned(small: ClickLog) -> None:
    shuffled = match_auc(replace(small, label=np.random.default_rng(0).permutation(small.label)))
    assert shuffled is not None
    assert abs(shuffled - 0.5) < 0.1  # what is left: items that many users click


def test_a_click_counts_more_than_a_sample_of_the_same_item() -> None:
    plan = SyntheticPlan(users=50, items=2, categories=1, clicks=40, exponent=0.0, favourites=1)
    assert synthetic_click_log(plan).label.all()  # whoever clicks that often clicked both items


def test_a_plan_of_ones_own() -> None:
    log = synthetic_click_log(SyntheticPlan(users=3, items=5, categories=5, clicks=2, exponent=1.0, favourites=1))
    assert (log.name, log.users, log.items) == ("synthetic", 3, 5)
    assert log.user_ids[log.user].tolist() == log.user.tolist()


def test_impossible_plans_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="small, taobao"):
        synthetic_click_log("large")
    with pytest.raises(ConfigurationError, match="categories"):
        replace(PRESETS["small"], items=199)
    with pytest.raises(ConfigurationError, match="users"):
        replace(PRESETS["small"], users=0)


@pytest.mark.slow
def test_taobao_has_the_size_of_the_reference_workload() -> None:
    log = synthetic_click_log("taobao")
    assert (log.users, log.items, log.categories) == (49_023, 143_534, 4_815)
    cohort = [log.index_set(user) for user in np.random.default_rng(0).choice(log.users, 100, replace=False)]
    assert 90 < np.mean([len(held) for held in cohort]) < 110
    assert 4_800 < len(np.unique(np.concatenate(cohort))) < 5_800
