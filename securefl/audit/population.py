"""Whose data a configuration would meet: how many indices a client holds, and how few hold the same one.

The numbers are means over drawn cohorts, and the draw is always the same: equal configurations give equal audits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from securefl.config import Config, check_population
from securefl.datasets import ClickLog, load_click_log
from securefl.datasets.synthetic import PRESETS, synthetic_click_log

__all__ = ["Population", "population_of"]

COHORTS = 5
SAMPLED_USERS = 2000
"""Users of a synthetic log that are generated: each follows the same law, whatever their number."""


@dataclass(frozen=True)
class Population:
    """What is known of the clients before a run."""

    name: str
    users: int
    typical_set: int
    """Indices of a client, on average."""
    union: int
    """Indices that a cohort holds together, on average."""
    holders: Mapping[int, int]
    """Over the drawn cohorts: how many indices have so many holders."""
    log: ClickLog = field(repr=False)
    """A sample of the clients, for drawn rounds."""

    @property
    def items(self) -> int:
        """The universe."""
        return self.log.items

    @property
    def category(self) -> NDArray[np.int64]:
        """Public map from index to category, (items,)."""
        return self.log.category

    @property
    def categories(self) -> int:
        """How many categories there are."""
        return self.log.categories

    @property
    def lone_share(self) -> float:
        """Share of a cohort's union that one client alone holds."""
        return self.holders.get(1, 0) / sum(self.holders.values())

    def describe(self) -> dict[str, int | float | str]:
        """For a reader."""
        sizes = {"users": self.users, "items": self.items, "categories": self.categories}
        return {"name": self.name, **sizes, "typical set": self.typical_set, "union of a cohort": self.union}

    @classmethod
    def drawn(cls, log: ClickLog, clients: int, users: int | None = None) -> Population:
        """Cohorts of `clients` from a log; `users` if the log is a sample of more."""
        rng = np.random.default_rng(0)
        sizes, unions, holders = list[int](), list[int](), Counter[int]()
        for _ in range(COHORTS):
            sets = [log.index_set(user) for user in rng.choice(log.users, clients, replace=False)]
            union, counts = np.unique(np.concatenate(sets), return_counts=True)
            sizes += [own.size for own in sets]
            unions.append(union.size)
            holders.update(counts.tolist())
        typical, together = (max(1, round(float(np.mean(each)))) for each in (sizes, unions))
        return cls(log.name, users or log.users, typical, together, dict(holders), log)


def population_of(config: Config) -> Population:
    """The clients of a configuration: of its click log, or of its generator. Raises ConfigurationError."""
    clients = config.cohort.clients
    if config.data.path is not None:
        log = load_click_log(config.data.path)
        check_population(config, log.users)
        return Population.drawn(log, clients)
    whole = PRESETS[config.data.generator]
    check_population(config, whole.users)
    sample = replace(whole, users=min(whole.users, max(SAMPLED_USERS, clients)))
    return replace(Population.drawn(synthetic_click_log(sample), clients, whole.users), name=config.data.generator)
