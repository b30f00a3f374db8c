"""The client's view of a log against plain lists, user by user."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from securefl.datasets import ClickLog, Samples

ITEMS = 8
Shown = list[tuple[int, bool]]

users = st.lists(st.lists(st.tuples(st.integers(0, ITEMS - 1), st.booleans()), max_size=14), min_size=1, max_size=5)


def log_of(shown: list[Shown]) -> ClickLog:
    """A log of some users, each a list of (item, clicked) in order of time."""
    rows = [(user, item, clicked) for user, samples in enumerate(shown) for item, clicked in samples]
    user, item = (np.array([row[k] for row in rows], np.int64) for k in (0, 1))
    label = np.array([row[2] for row in rows], bool)
    ids = [np.arange(len(shown)), np.arange(ITEMS), np.arange(2)]
    return ClickLog("test", user, item, label, np.arange(ITEMS) % 2, *ids)


def held_out(samples: Shown) -> int:
    return len(samples) // 5 if len(samples) >= 5 else 0


def plain(samples: Samples) -> list[tuple[int, bool, list[int]]]:
    """(target, label, history) of every sample."""
    stretches = zip(samples.start, samples.stop, strict=True)
    histories = [samples.clicks[start:stop].tolist() for start, stop in stretches]
    return list(zip(samples.targets.tolist(), samples.labels.tolist(), histories, strict=True))


def expected(samples: Shown) -> list[tuple[int, bool, list[int]]]:
    return [
        (item, clicked, [earlier for earlier, was in samples[:k] if was]) for k, (item, clicked) in enumerate(samples)
    ]


@given(users)
def test_a_user_trains_on_the_first_four_fifths_and_histories_are_earlier_clicks(shown: list[Shown]) -> None:
    log = log_of(shown)
    for user, samples in enumerate(shown):
        split = len(samples) - held_out(samples)
        assert plain(log.train(user)) == expected(samples)[:split]
        assert plain(log.test(user)) == expected(samples)[split:]
        assert len(log.train(user)) == split


@given(users)
def test_the_index_set_is_exactly_what_training_looks_at(shown: list[Shown]) -> None:
    log = log_of(shown)
    for user in range(log.users):
        train = log.train(user)
        looked_at = {item for target, _, history in plain(train) for item in (target, *history)}
        assert log.index_set(user).tolist() == sorted(looked_at)
        assert log.index_set(user).dtype == np.int64


@given(users, st.data())
def test_held_out_samples_of_many_users_are_those_of_each(shown: list[Shown], data: st.DataObject) -> None:
    log = log_of(shown)
    samples, owner = log.held_out()
    assert plain(samples) == [row for user in range(log.users) for row in plain(log.test(user))]
    assert owner.tolist() == [user for user in range(log.users) for _ in range(len(log.test(user)))]
    some = data.draw(st.lists(st.integers(0, log.users - 1), unique=True))
    samples, owner = log.held_out(np.array(some, np.int64))
    assert plain(samples) == [row for user in some for row in plain(log.test(user))]
    assert len(owner) == len(samples)


@given(users, st.data())
def test_nothing_trained_on_depends_on_what_is_held_out(shown: list[Shown], data: st.DataObject) -> None:
    log = log_of(shown)
    user = data.draw(st.integers(0, log.users - 1))
    train = log.train(user)
    changed = np.ones(len(log), bool)
    changed[np.flatnonzero(log.user == user)[: len(train)]] = False
    other = replace(log, item=np.where(changed, ITEMS - 1 - log.item, log.item), label=log.label ^ changed)
    assert plain(other.train(user)) == plain(train)
    assert other.train(user).clicks.tolist() == train.clicks.tolist()  # not even an unused later click is handed out
    assert other.index_set(user).tolist() == log.index_set(user).tolist()


@given(users, st.data())
def test_a_later_sample_never_shows_in_an_earlier_history(shown: list[Shown], data: st.DataObject) -> None:
    user = data.draw(st.integers(0, len(shown) - 1))
    cut = data.draw(st.integers(0, len(shown[user])))
    later = [(ITEMS - 1 - item, not clicked) for item, clicked in shown[user][cut:]]
    log, other = log_of(shown), log_of([*shown[:user], shown[user][:cut] + later, *shown[user + 1 :]])
    before, after = ([row[2] for row in plain(each.train(user)) + plain(each.test(user))] for each in (log, other))
    assert before[: cut + 1] == after[: cut + 1]


def test_four_samples_are_too_few_to_split() -> None:
    log = log_of([[(1, True)] * 4, [(1, True)] * 5, [(1, True)] * 9, [(1, True)] * 10])
    assert [len(log.test(user)) for user in range(4)] == [0, 1, 1, 2]


def test_sizes_come_from_the_ids_not_from_the_rows() -> None:
    log = log_of([[(1, True)], []])
    assert (log.users, log.items, log.categories, len(log)) == (2, ITEMS, 2, 1)
    assert log.index_set(1).tolist() == []
    assert len(log.train(1)) == len(log.test(1)) == 0
