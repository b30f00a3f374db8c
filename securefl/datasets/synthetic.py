"""Click logs out of a seed: popular and rare items, and users whose clicks follow a taste that can be learned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from securefl.errors import ConfigurationError

from .clicklog import ClickLog

SPREAD = 0.5
"""Deviation of the logarithm of the number of clicks of a user."""


@dataclass(frozen=True)
class SyntheticPlan:
    """What to generate. The item of popularity rank r is drawn in proportion to (r + ``head``)^-``exponent`` (Zipf).

    A click goes with probability ``taste`` to a favourite category, else anywhere. Before each click stands a sample
    that was shown and not clicked; it follows the popularity to the power ``shown``, whatever the user's taste.
    """

    users: int
    items: int
    categories: int
    clicks: int
    """Mean number of clicks of a user, before repeated ones are dropped."""
    exponent: float
    favourites: int
    """Favourite categories of a user; the k-th is wanted in proportion to 1/k."""
    head: float = 30.0
    taste: float = 0.8
    shown: float = 0.8

    def __post_init__(self) -> None:
        if min(self.users, self.categories, self.clicks, self.favourites) < 1 or self.items < self.categories:
            raise ConfigurationError(
                "a synthetic log needs `users`, `categories`, `clicks` and `favourites` of at least 1, "
                f"and no fewer `items` ({self.items}) than `categories` ({self.categories})"
            )


PRESETS = {
    "small": SyntheticPlan(users=2_000, items=20_000, categories=200, clicks=22, exponent=1.0, favourites=5),
    "taobao": SyntheticPlan(
        users=49_023, items=143_534, categories=4_815, clicks=76, exponent=1.25, favourites=20, head=100, shown=1.0
    ),
}
"""``taobao`` has the table sizes of Niu et al. 2019, about 100 items in a client's index set."""


def synthetic_click_log(preset: str | SyntheticPlan = "small", *, seed: int = 0) -> ClickLog:
    """A generated click log, the same for the same seed. Ids are the numbers themselves."""
    plan = PRESETS.get(preset) if isinstance(preset, str) else preset
    if plan is None:
        raise ConfigurationError(f"there is no synthetic data set {preset!r}; use one of {', '.join(PRESETS)}")
    rng = np.random.default_rng(seed)
    category = _categories(plan, rng)
    weight = np.power(rng.permutation(plan.items) + plan.head, -plan.exponent)
    user, clicked = _clicks(plan, category, weight, rng)
    shown = _draw(np.cumsum(weight**plan.shown), rng.random(len(user)))
    item = np.stack([shown, clicked], axis=1).ravel()
    label = np.tile([False, True], len(user))
    user = np.repeat(user, 2)
    fresh = _first_of_each(user * plan.items + item, label)
    name = preset if isinstance(preset, str) else "synthetic"
    user_ids, item_ids, category_ids = (np.arange(n) for n in (plan.users, plan.items, plan.categories))
    return ClickLog(name, user[fresh], item[fresh], label[fresh], category, user_ids, item_ids, category_ids)


def _categories(plan: SyntheticPlan, rng: np.random.Generator) -> NDArray[np.int64]:
    """Category of each item; large and small ones, none empty."""
    sizes = 1 / np.sqrt(1 + rng.permutation(plan.categories))
    extra = _draw(np.cumsum(sizes), rng.random(plan.items - plan.categories))
    return rng.permutation(np.concatenate([np.arange(plan.categories), extra]))


def _clicks(
    plan: SyntheticPlan, category: NDArray[np.int64], weight: NDArray[np.float64], rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """User and item of every click, grouped by user, in order of time."""
    counts = rng.lognormal(np.log(plan.clicks) - SPREAD**2 / 2, SPREAD, plan.users).astype(np.int64) + 3
    user = np.repeat(np.arange(plan.users), counts)
    grouped = np.argsort(category, kind="stable")
    total = np.cumsum(weight[grouped])
    ends = np.searchsorted(category[grouped], np.arange(plan.categories), side="right")
    high = total[ends - 1]
    low = np.concatenate([[0.0], high[:-1]])
    favourites = _draw(high, rng.random((plan.users, plan.favourites)))
    wanted = favourites[user, _draw(np.cumsum(1 / np.arange(1, plan.favourites + 1)), rng.random(len(user)))]
    by_taste = rng.random(len(user)) < plan.taste
    low, high = np.where(by_taste, low[wanted], 0.0), np.where(by_taste, high[wanted], total[-1])
    return user, grouped[_draw(total, (low + rng.random(len(user)) * (high - low)) / total[-1])]


def _draw(cumulative: NDArray[np.float64], u: NDArray[np.float64]) -> NDArray[np.int64]:
    """Index drawn in proportion to the steps of ``cumulative``, by inversion of u in [0, 1)."""
    places: NDArray[np.intp] = np.searchsorted(cumulative, u * cumulative[-1], side="right")
    return places.clip(max=len(cumulative) - 1).astype(np.int64)  # u * total may round up to the total


def _first_of_each(pair: NDArray[np.int64], label: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Places to keep: each (user, item) once; a click rather than a sample of the same item that was not clicked."""
    order = np.lexsort((~label, pair))
    first = np.concatenate([[True], np.diff(pair[order]) != 0])
    return np.sort(order[first])
