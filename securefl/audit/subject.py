"""What is audited: a configuration, the clients it would meet, and the plan that would follow from both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

import dp
import psu
from securefl.audit.population import Population, population_of
from securefl.audit.rehearsal import rehearse
from securefl.config import Config, check_meaning, override
from securefl.errors import ConfigurationError
from securefl.federation.planning import click_model, round_params, round_plan, union_plan
from securefl.models import ClickModel
from securefl.secagg.sizes import Traffic
from securefl.submodel import UpdateNoise
from securefl.submodel.sizes import Load, round_traffic

__all__ = ["Subject"]

MAX_CLIENTS = 512
"""Laws of claimants are exact: beyond, their integers outgrow a quick audit."""


@dataclass(frozen=True)
class Subject:
    """A configuration that means something, whether or not it is safe or can run."""

    config: Config
    population: Population
    rounds: int
    """Rounds that are planned; a client may be invited to each."""

    @classmethod
    def of(cls, config: Config, rounds: int | None = None) -> Subject:
        """The subject of an audit. Raises ConfigurationError."""
        check_meaning(config)
        if config.cohort.clients > MAX_CLIENTS:
            raise ConfigurationError(
                f"cohort.clients: an audit takes cohorts of up to {MAX_CLIENTS}, not {config.cohort.clients}; "
                "audit one shard"
            )
        planned = config.cohort.rounds if rounds is None else rounds
        if planned < 1:
            raise ConfigurationError(f"--rounds: got {planned}; use a whole number of at least 1")
        return cls(config, population_of(config), planned)

    def changed(self, settings: Mapping[str, object]) -> Subject:
        """The same clients and the same union plan under other settings, by dotted name."""
        other = replace(self, config=override(self.config, settings))
        other.__dict__["union_plan"] = self.union_plan
        return other

    @cached_property
    def model(self) -> ClickModel:
        """The model that would be trained."""
        return click_model(self.config.training, self.population.category, self.population.categories)

    @property
    def delta(self) -> Fraction:
        """What epsilon leaves out, of sums with noise."""
        return Fraction(str(self.config.privacy.delta))

    @cached_property
    def release(self) -> dp.Release | None:
        """What the sums of all planned rounds release of a client that is in each; None if they are exact."""
        if not self.config.noisy:
            return None
        numbers = self.model.dense_size + sum(table.rows * table.width for table in self.model.tables)
        return replace(
            UpdateNoise(self.config.noise_radius, self.config.noise_variance).release(numbers), rounds=self.rounds
        )

    @cached_property
    def expected_union(self) -> int:
        """Indices that the union plan is made for: as configured, or those of a drawn cohort and a tenth more."""
        return min(self.config.union.expected or self.population.union * 11 // 10 or 1, self.population.items)

    @cached_property
    def union_plan(self) -> psu.UnionPlan:
        """How the union would be encoded. Raises ConfigurationError."""
        return union_plan(self.config, self.model.tables[0], self.expected_union)

    @cached_property
    def load(self) -> Load:
        """What a client would ask for."""
        return rehearse(self.config, self.population, self.union_plan.expected_false)

    @cached_property
    def traffic(self) -> Traffic | None:
        """Bytes of a client in a round; None if the configuration cannot run."""
        try:
            maps = {"categories": self.population.category}
            plan = round_plan(self.config, self.model, maps, self.union_plan)
            return round_traffic(round_params(self.config, plan), plan, self.load)
        except ConfigurationError:
            return None
