"""Drawn negatives: unseen by the user, uniform among those, and the same for the same seed."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from securefl.datasets.negatives import draw_unseen, with_negatives

clicks = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6)), min_size=1, max_size=40)


def columns(pairs: list[tuple[int, int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    user, item = np.array(sorted(pairs, key=lambda pair: pair[0]), np.int64).T
    return user, item


@given(clicks, st.integers(0, 2**32))
@example([(0, item) for item in range(7)] + [(1, 3)], 0)
def test_a_negative_is_an_item_the_user_never_clicked(pairs: list[tuple[int, int]], seed: int) -> None:
    user, item = columns(pairs)
    drawn = draw_unseen(user, item, 7, np.random.default_rng(seed))
    for u, d in zip(user.tolist(), drawn.tolist(), strict=True):
        unseen = set(range(7)) - {i for v, i in pairs if v == u}
        assert d in unseen or (d == -1 and not unseen)


def test_every_unseen_item_is_equally_likely() -> None:
    user, item = np.repeat([0, 1, 2], 20_000), np.tile([0, 2, 3, 6], 15_000)
    drawn = draw_unseen(user, item, 7, np.random.default_rng(1))
    for u in range(3):
        counts = np.bincount(drawn[user == u], minlength=7)
        assert counts[[0, 2, 3, 6]].tolist() == [0] * 4
        # three cells of 6,667: chi-square with 2 degrees of freedom stays under 18.4 but once in 10,000
        assert ((counts[[1, 4, 5]] - 20_000 / 3) ** 2).sum() / (20_000 / 3) < 18.4


@given(clicks)
@example([(0, item) for item in range(7)] + [(1, 3)])
def test_each_click_stands_after_its_negative_and_order_is_kept(pairs: list[tuple[int, int]]) -> None:
    user, item = columns(pairs)
    all_users, all_items, label = with_negatives(user, item, 7, 3)
    assert all_users[label].tolist() == user.tolist()
    assert all_items[label].tolist() == item.tolist()
    assert (np.diff(all_users) >= 0).all()
    full = {u for u in user.tolist() if len({i for v, i in pairs if v == u}) == 7}
    assert (~label).sum() == sum(u not in full for u in user.tolist())
    if not full:
        assert label.tolist() == [False, True] * len(user)


def test_the_seed_decides() -> None:
    user, item = np.zeros(50, np.int64), np.arange(50)
    one, same, other = (with_negatives(user, item, 1000, seed)[1].tolist() for seed in (1, 1, 2))
    assert one == same != other
