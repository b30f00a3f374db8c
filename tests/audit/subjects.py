"""Subjects of an audit: the default preset with settings changed, its clients drawn once."""

from __future__ import annotations

from functools import cache

from securefl.audit import Finding
from securefl.audit.population import Population, population_of
from securefl.audit.subject import Subject
from securefl.config import Config, load_preset, override


def configured(**settings: object) -> Config:
    """The default preset with settings changed, `section__key=value`."""
    return override(load_preset("small"), {name.replace("__", "."): value for name, value in settings.items()})


@cache
def population(clients: int) -> Population:
    return population_of(configured(cohort__clients=clients))


def subject(rounds: int | None = None, **settings: object) -> Subject:
    """As `Subject.of`, with the clients of the default preset drawn once."""
    config = configured(**settings)
    return Subject(config, population(config.cohort.clients), rounds or config.cohort.rounds)


def figure(finding: Finding, name: str) -> float:
    """The figure of a finding, by the beginning of its name."""
    (one,) = [f for f in finding.all_figures if f.name.startswith(name)]
    return one.value
