"""Plain training runs with clients that come and go. A run is kept in files as it goes: killed, it goes on the same."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

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
    draw: np.random.Generator
    """What local training takes its batches from."""

    def init(self) -> Floats:
        """The first model, (P,)."""

    def updates(self, model: Floats, cohort: NDArray[np.int64], rate: float, strategy: Strategy) -> Floats:
        """What local training makes of the model: u of each client of the cohort, (m, P)."""

    def accuracy(self, model: Floats) -> float:
        """On the test images, percent."""


@dataclass(frozen=True, slots=True)
class Course:
    """How often to look, how fast, and with how many."""

    every: int
    rate: Callable[[int], float]
    cohort: int = 100


STRATEGIES: dict[str, Callable[[Task], Strategy]] = {
    "FedAvg": lambda _: FedAvg(),
    "FedProx": lambda _: FedProx(1.0),
    "FedLaAvg": lambda task: FedLaAvg(task.samples.size, task.init().size, int(task.samples.sum())),
    "MIFA": lambda task: MIFA(task.samples.size, task.init().size, int(task.samples.sum())),
}


class Run:
    """Training by one strategy. FedLaAvg takes those that were out longest, the others a random cohort."""

    def __init__(self, task: Task, name: str, availability: Availability, course: Course, seed: int) -> None:
        self._task, self._name, self._availability, self._course = task, name, availability, course
        self._generator, self._strategy = np.random.default_rng([seed, 1]), STRATEGIES[name](task)
        longest = LongestOut(task.samples.size, self._generator)
        self._selection = longest if name == "FedLaAvg" else RandomCohort(self._generator)
        self._model, self.number = task.init(), 0
        self.curve: Curve = {}

    def advance(self, rounds: int, tell: Callable[[str], None]) -> None:
        """Train up to a round."""
        for number in range(self.number + 1, rounds + 1):
            self._round(number)
            if number % self._course.every == 0:
                self.curve[number] = self._task.accuracy(self._model)
                tell(f"{self._name}: round {number}, {self.curve[number]:.2f} %")
        self.number = max(self.number, rounds)

    def _round(self, number: int) -> None:
        strategy, samples, rate = self._strategy, self._task.samples, self._course.rate(number)
        cohort = self._selection.select(self._availability.available(number), self._course.cohort)
        updates = self._task.updates(self._model, cohort, rate, strategy)
        values, weights = strategy.contributions(cohort, updates, samples[cohort])
        strategy.confirm(cohort)
        step = strategy.step(values.sum(axis=0, dtype=np.float64), float(weights.sum()))
        self._model = self._model - np.float32(rate) * step

    def save(self, path: Path) -> None:
        """Everything that the next round depends on. The file is the old one or the new one, never a part."""
        told = {"number": self.number, "curve": self.curve, "generators": [g.bit_generator.state for g in self._both()]}
        fresh = path.with_suffix(".fresh.npz")
        np.savez(fresh, told=np.array(json.dumps(told)), model=self._model, **self._state())
        fresh.replace(path)

    def load(self, path: Path) -> None:
        """Go on from there."""
        with np.load(path) as kept:
            told: dict[str, Any] = json.loads(str(kept["told"]))
            self._model = kept["model"]
            for name, array in self._state().items():
                array[...] = kept[name]
        self.number, self.curve = told["number"], {int(r): a for r, a in told["curve"].items()}
        for generator, state in zip(self._both(), told["generators"], strict=True):
            generator.bit_generator.state = state

    def _state(self) -> dict[str, NDArray[Any]]:
        return self._strategy.state | self._selection.state

    def _both(self) -> tuple[np.random.Generator, np.random.Generator]:
        return self._generator, self._task.draw


class Kept:
    """Curves by name in one JSON file, and beside it the state of each run every so many rounds."""

    def __init__(self, path: Path, every: int = 100) -> None:
        self._path, self._every = path, every
        self._runs: dict[str, Run] = {}
        self.curves: dict[str, Curve] = {}
        if path.exists():
            self.curves = {k: {int(r): a for r, a in c.items()} for k, c in json.loads(path.read_text()).items()}

    def curve(self, name: str, rounds: int, make: Callable[[], Run]) -> Curve:
        """The curve up to a round: the kept one, or what the run `make` makes adds to it."""
        if max(self.curves.get(name, {}), default=0) < rounds:
            self._train(name, rounds, make)
        return {number: accuracy for number, accuracy in self.curves[name].items() if number <= rounds}

    def forget(self) -> None:
        """Take no more memory for runs: their files stay."""
        self._runs.clear()

    def _train(self, name: str, rounds: int, make: Callable[[], Run]) -> None:
        began, state = time.monotonic(), self._path.with_name(f"{self._path.stem}-{name.replace(' ', '-')}.npz")
        if name not in self._runs:
            self._runs[name] = make()
            if state.exists():
                self._runs[name].load(state)
        run = self._runs[name]
        while run.number < rounds:
            run.advance(
                min(rounds, run.number + self._every),
                lambda said: print(f"{time.monotonic() - began:6.0f} s  {name}  {said}", flush=True),
            )
            run.save(state)
        self.curves[name] = run.curve
        fresh = self._path.with_suffix(".fresh")
        fresh.write_text(json.dumps(self.curves) + "\n")
        fresh.replace(self._path)


def write_curves(path: Path, curves: dict[str, Curve], every: int = 20) -> None:
    """What a plot needs of kept curves: by run, round and percent, rounded."""
    thinned = {name: {r: round(a, 2) for r, a in curve.items() if r % every == 0} for name, curve in curves.items()}
    path.write_text("{\n" + ",\n".join(f"{json.dumps(n)}: {json.dumps(c)}" for n, c in thinned.items()) + "\n}\n")
