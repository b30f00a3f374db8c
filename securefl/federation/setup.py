"""What a run is before its first round: the model, what every round agrees on, and where randomness comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from securefl.config import Availability as AvailabilitySettings
from securefl.config import Config, check_population, validate
from securefl.datasets import ClickLog
from securefl.errors import ConfigurationError
from securefl.federation.availability import Alternating, Always, Availability, Diurnal, Trace
from securefl.federation.planning import click_model, expected_union, round_params, round_plan, union_plan
from securefl.federation.randomness import Randomness
from securefl.models import Model
from securefl.secagg import Params
from securefl.submodel import SubmodelPlan
from securefl.transcript import Label, digest

__all__ = ["Setup"]


@dataclass(frozen=True, eq=False)
class Setup:
    """Everything of a run that stays the same from round to round. All of it is public but `log` and `random`."""

    config: Config
    log: ClickLog
    random: Randomness
    model: Model
    maps: Mapping[str, NDArray[np.int64]]
    """The public map of each table after the first."""
    plan: SubmodelPlan
    params: Params
    available: Availability

    @classmethod
    def of(cls, config: Config, log: ClickLog, key: bytes | None = None, model: Model | None = None) -> Setup:
        """`key`: of a run that is taken up again. `model`: another than the configured one.

        Raises `ConfigurationError` for settings that contradict each other or do not fit the data.
        """
        validate(config)
        check_population(config, log.users)
        check_histories(config, log)
        random = Randomness(config.cohort.seed, key)
        model = click_model(config.training, log.category, log.categories) if model is None else model
        if config.training.strategy == "FedProx" and not getattr(model, "proximal", 0):
            raise ConfigurationError('training.strategy: "FedProx" needs a model with a pull; give it proximal=1.0')
        expected = expected_union(config, log, random.generator("expected union"))
        plan = round_plan(config, model, model.maps, union_plan(config, model.tables[0], expected))
        available = availability(config.availability, log.users, random.generator("availability"))
        return cls(config, log, random, model, model.maps, plan, round_params(config, plan), available)

    @property
    def source(self) -> bytes:
        """Hash of the data and of a recorded availability: what the settings only name."""
        log, there = self.log, self.available
        arrays = (log.user, log.item, log.label, log.category)
        mask = there.mask.tobytes() if isinstance(there, Trace) else b""
        return digest(Label.CHECKPOINT, *(array.tobytes() for array in arrays), mask)

    @property
    def data(self) -> dict[str, int | float | str]:
        """Name and sizes of the click log."""
        log = self.log
        sizes = {"users": log.users, "items": log.items, "categories": log.categories, "samples": len(log)}
        return {"name": log.name, **sizes, "sampled_negatives": int(log.sampled_negatives)}


def check_histories(config: Config, log: ClickLog) -> None:
    """Refuse data in which nobody has a click to learn the next one from. Raises ConfigurationError."""
    if not any(bool((log.train(user).stop > 0).any()) for user in range(log.users)):
        raise ConfigurationError(
            f'training.model: "{config.training.model}" learns from what a user clicked before, and no user of '
            f"{log.name} has a sample after a click; bring a log with times and longer histories"
        )


def availability(settings: AvailabilitySettings, clients: int, generator: np.random.Generator) -> Availability:
    """The model that the settings describe. Raises `ConfigurationError` for a trace that cannot be read."""
    match settings.kind:
        case "always":
            return Always(clients)
        case "diurnal":
            return Diurnal(generator.random(clients), settings.period, settings.share)
        case "alternating":
            return Alternating(np.arange(clients) % len(settings.spans), settings.spans)
        case "trace":
            if settings.trace is None:
                raise ConfigurationError('availability.trace: kind = "trace" needs a file; name one')
            return Trace.load(settings.trace, clients)
