"""What server and clients agree on: the settings, and a click log of which every node reads its own user's part."""

from functools import lru_cache

import numpy as np
from flwr.app import Context

from securefl.config import load_preset, override
from securefl.datasets import ClickLog, load_click_log
from securefl.datasets.synthetic import synthetic_click_log
from securefl.federation.setup import Setup


def setup(context: Context) -> Setup:
    """From the run's configuration: every setting with a dot in its name is one of securefl's."""
    return _setup(tuple(sorted(context.run_config.items())))


@lru_cache(maxsize=1)  # a worker of a simulation plays many nodes of one run
def _setup(options: tuple[tuple[str, str | int | float], ...]) -> Setup:
    given = dict(options)
    nothing = {"data.path": "", "cohort.seed": -1}
    config = override(
        load_preset(str(given["preset"])),
        {name: None if value == nothing.get(name) else value for name, value in given.items() if "." in name},
    )
    seed = config.cohort.seed or 0
    log = load_click_log(config.data.path, seed=seed) if config.data.path else synthetic_click_log("small", seed=seed)
    return Setup.of(config, busiest(log, int(given["users"])))


def busiest(log: ClickLog, users: int) -> ClickLog:
    """Only the users with most samples, numbered from 0; items and categories stay."""
    chosen = np.sort(np.argsort(-np.bincount(log.user), kind="stable")[:users])
    theirs = np.isin(log.user, chosen)
    return ClickLog(
        log.name,
        np.searchsorted(chosen, log.user[theirs]),
        log.item[theirs],
        log.label[theirs],
        log.category,
        log.user_ids[chosen],
        log.item_ids,
        log.category_ids,
        log.sampled_negatives,
    )
