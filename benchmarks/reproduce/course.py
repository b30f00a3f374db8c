"""Plain training runs with clients that come and go; a finished run is kept in a file and not done again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from securefl.federation.availability import Availability
from securefl.federation.cohort import LongestOut, RandomCohort
from securefl.federation.dense import MIFA, FedAvg, FedLaAvg, FedProx, Strategy

Floats = NDArray[np.float32]
Curve = dict[int, float]
"""round -> test accuracy, percent"""


class Task(Protocol):
    """A model and everybody's samples."""

    samples: NDArray[np.int64]
    """(clients,) how many samples each client has."""

    def init(self) -> Floats:
        """The first model, (P,)."""

    def updates(self, model: Floats, cohort: NDArray[np.int64], rate: float, strategy: Strategy) -> Floats:
        """What local training makes of the model: u of each client of the cohort, (m, P)."""

    def accuracy(self, model: Floats) -> float:
        """On the test images, percent."""


@dataclass(frozen=True, slots=True)
class Course:
    """How long, with how many, how fast, and how often to look."""

    rounds: int
    every: int
    rate: Callable[[int], float]
    cohort: int = 100


STRATEGIES: dict[str, Callable[[Task], Strategy]] = {
    "FedAvg": lambda _: FedAvg(),
    "FedProx": lambda _: FedProx(1.0),
    "FedLaAvg": lambda task: FedLaAvg(task.samples.size, task.init().size, int(task.samples.sum())),
    "MIFA": lambda task: MIFA(task.samples.size, task.init().size, int(task.samples.sum())),
}


def train(
    task: Task, name: str, availability: Availability, course: Course, seed: int, tell: Callable[[str], None]
) -> Curve:
    """One run. FedLaAvg takes those that were out longest, the others a random cohort of those available."""
    generator, strategy, model = np.random.default_rng([seed, 1]), STRATEGIES[name](task), task.init()
    selection = LongestOut(task.samples.size, generator) if name == "FedLaAvg" else RandomCohort(generator)
    curve: Curve = {}
    for number in range(1, course.rounds + 1):
        cohort, rate = selection.select(availability.available(number), course.cohort), course.rate(number)
        updates = task.updates(model, cohort, rate, strategy)
        values, weights = strategy.contributions(cohort, updates, task.samples[cohort])
        strategy.confirm(cohort)
        model = model - np.float32(rate) * strategy.step(values.sum(axis=0, dtype=np.float64), float(weights.sum()))
        if number % course.every == 0:
            curve[number] = task.accuracy(model)
            tell(f"{name}: round {number} of {course.rounds}, {curve[number]:.2f} %")
    return curve


class Kept:
    """Curves by name in one JSON file: an interrupted reproduction goes on with the runs that are missing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.curves: dict[str, Curve] = {}
        if path.exists():
            self.curves = {k: {int(r): a for r, a in c.items()} for k, c in json.loads(path.read_text()).items()}

    def curve(self, name: str, run: Callable[[Callable[[str], None]], Curve]) -> Curve:
        """The kept curve, or the one that `run` makes now."""
        if name not in self.curves:
            began = time.monotonic()
            self.curves[name] = run(
                lambda said: print(f"{time.monotonic() - began:6.0f} s  {name}  {said}", flush=True)
            )
            self._path.write_text(json.dumps(self.curves) + "\n")
        return self.curves[name]
