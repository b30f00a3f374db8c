"""Two public logs, as their origin describes them."""

from __future__ import annotations

import csv
import time
from pathlib import Path

import numpy as np
import pytest

from securefl.datasets import ClickLog, load_click_log

pytestmark = pytest.mark.needs("data")


@pytest.fixture(scope="module")
def amazon(data_folder: Path) -> ClickLog:
    return load_timed(data_folder / "amazon-electronics" / "amazon_train.npz")


@pytest.fixture(scope="module")
def movies(data_folder: Path) -> ClickLog:
    return load_timed(data_folder / "ml-100k" / "ml100k.npz")


def load_timed(path: Path) -> ClickLog:
    start = time.perf_counter()
    log = load_click_log(path)
    print(f"{path.name}: {len(log):,} rows in {time.perf_counter() - start:.2f} s")  # noqa: T201 - shown by -s
    return log


def samples_per_user(log: ClickLog) -> list[float]:
    """min, p10, median, mean, p90, max."""
    sizes = np.bincount(log.user)
    return [sizes.min(), *np.percentile(sizes, [10, 50]), round(sizes.mean(), 2), np.percentile(sizes, 90), sizes.max()]


def users_per_item(log: ClickLog) -> list[float]:
    """min, median, mean, max."""
    shown = np.bincount(np.unique(log.user * log.items + log.item) % log.items)
    return [shown.min(), np.median(shown), round(shown.mean(), 2), shown.max()]


def test_amazon_electronics(amazon: ClickLog) -> None:
    assert (len(amazon), amazon.users, amazon.items, amazon.categories) == (99_710, 1_859, 29_148, 1)
    assert amazon.label.mean() == pytest.approx(0.5552, abs=5e-5)
    assert samples_per_user(amazon) == [1, 29, 45, 53.64, 87, 387]
    assert users_per_item(amazon) == [1, 2, 3.42, 232]
    assert not amazon.sampled_negatives


def test_movielens(movies: ClickLog) -> None:
    assert (len(movies), movies.users, movies.items, movies.categories) == (100_000, 943, 1_682, 1)
    assert movies.label.sum() == 34_174 + 21_201
    assert samples_per_user(movies) == [20, 23, 65, 106.04, pytest.approx(244.4), 737]
    assert users_per_item(movies) == [1, 27, 59.45, 583]


@pytest.mark.parametrize(("name", "mean", "largest"), [("amazon", 0.00184, 0.013277), ("movies", 0.063047, 0.438169)])
def test_what_a_user_has_seen_is_a_small_part(
    name: str, mean: float, largest: float, request: pytest.FixtureRequest
) -> None:
    log: ClickLog = request.getfixturevalue(name)
    part = np.bincount(np.unique(log.user * log.items + log.item) // log.items) / log.items
    assert part.mean() == pytest.approx(mean, abs=5e-6)
    assert part.max() == pytest.approx(largest, abs=5e-7)


def test_without_times_the_rows_of_a_user_stay_in_order(amazon: ClickLog, data_folder: Path) -> None:
    source = np.load(data_folder / "amazon-electronics" / "amazon_train.npz")
    for user in (0, 7, amazon.users - 1):
        theirs, own = source["user"] == amazon.user_ids[user], amazon.user == user
        assert amazon.item_ids[amazon.item[own]].tolist() == source["item"][theirs].tolist()
        assert amazon.label[own].tolist() == (source["click"][theirs] == 1).tolist()


def test_original_ids_and_times_are_kept(movies: ClickLog, data_folder: Path) -> None:
    source = np.load(data_folder / "ml-100k" / "ml100k.npz")
    mine = source["user"] == movies.user_ids[7]
    order = np.argsort(source["timestamp"][mine], kind="stable")
    own = movies.user == 7
    assert movies.item_ids[movies.item[own]].tolist() == source["item"][mine][order].tolist()
    assert movies.label[own].tolist() == (source["rating"][mine][order] >= 4).tolist()


@pytest.mark.parametrize("name", ["amazon", "movies"])
def test_the_latest_fifth_is_held_out(name: str, request: pytest.FixtureRequest) -> None:
    log: ClickLog = request.getfixturevalue(name)
    held, _ = log.held_out()
    trained = sum(len(log.train(user)) for user in range(log.users))
    assert trained + len(held) == len(log)
    assert 0.19 < len(held) / len(log) < 0.2


def test_the_same_log_as_csv(amazon: ClickLog, data_folder: Path, tmp_path: Path) -> None:
    source = np.load(data_folder / "amazon-electronics" / "amazon_train.npz")
    with (tmp_path / "log.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["click", "item", "user"])
        writer.writerows(zip(*(source[name].tolist() for name in ("click", "item", "user")), strict=True))
    again = load_click_log(tmp_path / "log.csv")
    for column in ("user", "item", "label", "user_ids", "item_ids"):
        np.testing.assert_array_equal(getattr(again, column), getattr(amazon, column))


def test_clicks_alone_get_negatives_that_stay(movies: ClickLog, data_folder: Path, tmp_path: Path) -> None:
    source = np.load(data_folder / "ml-100k" / "ml100k.npz")
    np.savez(tmp_path / "clicks.npz", **{name: source[name] for name in ("user", "item", "timestamp")})
    one, same = (load_click_log(tmp_path / "clicks.npz", seed=4) for _ in range(2))
    assert one.sampled_negatives
    assert len(one) == 200_000
    assert all(np.array_equal(one.index_set(user), same.index_set(user)) for user in range(one.users))
    seen = np.unique(one.user[one.label] * one.items + one.item[one.label])
    assert not np.isin(one.user[~one.label] * one.items + one.item[~one.label], seen).any()
