"""FedLaAvg beside FedAvg on CIFAR-10, when clients of classes 0 to 4 and of classes 5 to 9 are there in turn.

    python benchmarks/reproduce/cifar.py --data cifar10.npz --rounds 1500 --seeds 1,2,3 --json docs/results/cifar.json

LeNet, 1000 clients of one class each, 100 in a round, 10 local steps of 5 images, rate 0.01 x 0.9999^round; the first
group is there for 10 rounds, the second for 5. The paper (arXiv 2002.07399, v1) reports a lead of 4.23 points; how many
rounds it took is not known. A third of a second a round on one core. Both strategies advance in turn, so that equal
rounds of both exist; what is done is kept in the file of --runs and beside it, and a killed run goes on the same.
`--finished` trains nothing: it writes the figures of the seeds and rounds that there are.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from report import Check, Report

from reproduce import lenet
from reproduce.course import Course, Curve, Floats, Kept, Run, write_curves
from securefl.datasets.images import load_images, one_class_each
from securefl.federation.availability import Alternating
from securefl.federation.dense import Strategy

CLIENTS, STEPS, BATCH, SPANS = 1000, 10, 5, (10, 5)
LEAD = 4.23
BOTH = ("FedAvg", "FedLaAvg")
IN_TURN = 100


class Pictures:
    """Everybody's pictures: 50 of one class each."""

    def __init__(self, path: Path, seed: int) -> None:
        self.draw, self._seed = np.random.default_rng([seed, 0]), seed
        self._train, self._labels, self._test, self._test_labels = pictures(path)
        self._parts = one_class_each(self._labels, np.ones(CLIENTS), self.draw)
        self.samples = np.array([part.size for part in self._parts])

    def init(self) -> Floats:
        """LeNet's first parameters."""
        return lenet.init(self._seed)

    def updates(self, model: Floats, cohort: NDArray[np.int64], rate: float, strategy: Strategy) -> Floats:
        """Local training of the whole cohort."""
        picks = [self._parts[u][self.draw.integers(self.samples[u], size=(STEPS, BATCH))] for u in cohort]
        at, scale = np.stack(picks), strategy.loss_scale(self.samples[cohort])
        return lenet.descend(model, self._train[at], self._labels[at], rate, scale, strategy.proximal)

    def accuracy(self, model: Floats) -> float:
        """On the test pictures, percent."""
        return lenet.accuracy(model, self._test, self._test_labels)


@cache
def pictures(path: Path) -> tuple[Floats, NDArray[np.int64], Floats, NDArray[np.int64]]:
    """Training and test pictures, (n, 3, 32, 32), each colour of mean 0 and spread 1 over the training ones; labels."""
    images = load_images(path)
    mean, spread = images.train.mean(axis=(0, 1, 2)), images.train.std(axis=(0, 1, 2))
    train, test = (
        np.ascontiguousarray(((x - mean) / spread).astype(np.float32).transpose(0, 3, 1, 2))
        for x in (images.train, images.test)
    )
    return train, images.train_labels, test, images.test_labels


def main() -> None:
    """Every round that is missing, then the lead."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="cifar10.npz, or the pack of JPEG files")
    parser.add_argument("--runs", type=Path, default=Path("cifar-runs.json"), help="where runs are kept")
    parser.add_argument("--rounds", type=int, default=1500)
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--rates", default="0.01", help="first rates for both; each is judged at its best")
    parser.add_argument("--only", choices=BOTH, help="train this strategy alone: for a rate that the other cannot take")
    parser.add_argument("--finished", action="store_true", help="train nothing, report what there is")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--curves", type=Path, help="write the curves that the plot is drawn from here")
    asked = parser.parse_args()
    report, kept = Report(sys.argv, ["numpy", "securefl"]), Kept(asked.runs)
    seeds, rates = [int(seed) for seed in asked.seeds.split(",")], [float(rate) for rate in asked.rates.split(",")]
    if not asked.finished:
        for seed in seeds:
            for rate in rates:
                train(asked, kept, seed, rate)
    describe(report, kept, seeds, rates, asked.rounds)
    print(report.table())
    if asked.json:
        report.write(asked.json)
    if asked.curves:
        write_curves(asked.curves, kept.curves, 5)


def label(name: str, rate: float, seed: int) -> str:
    """What a run is kept under."""
    return f"{name} rate {rate} seed {seed}"


def train(asked: argparse.Namespace, kept: Kept, seed: int, rate: float) -> None:
    """Both strategies up to the rounds wanted, in turn."""
    turn = (np.arange(CLIENTS) % 10 >= 5).astype(np.int64)
    course = Course(5, lambda number: rate * 0.9999**number)

    def make(name: str) -> Run:
        return Run(Pictures(asked.data, seed), name, Alternating(turn, SPANS), course, seed)

    for goal in [*range(IN_TURN, asked.rounds, IN_TURN), asked.rounds]:
        for name in [asked.only] if asked.only else BOTH:
            kept.curve(label(name, rate, seed), goal, lambda name=name: make(name))
    kept.forget()


def describe(report: Report, kept: Kept, seeds: list[int], rates: list[float], rounds: int) -> None:
    """For each seed both accuracies and the lead, each strategy at its best rate, at the rounds that both reached."""
    best, leads = {name: tuned(report, kept, name, seeds, rates, rounds) for name in BOTH}, []
    for seed in seeds:
        curves = {name: kept.curves.get(label(name, rate, seed), {}) for name, rate in best.items()}
        if not all(curves.values()):
            report.notes.append(f"seed {seed}: not run")
            continue
        reached = min(rounds, *map(max, curves.values()))
        values = {name: settled(curve, reached) for name, curve in curves.items()}
        leads.append(values["FedLaAvg"] - values["FedAvg"])
        report.checks.append(Check(f"rounds_seed{seed}", reached, "rounds"))
        report.checks += [Check(f"{name}_seed{seed}", value, "%") for name, value in values.items()]
        report.checks.append(Check(f"lead_seed{seed}", leads[-1], "points"))
    if leads:
        report.checks.append(Check("lead_mean", statistics.mean(leads), "points", 0, LEAD))
        report.checks.append(Check("lead_spread", statistics.stdev(leads) if len(leads) > 1 else 0, "points"))


def tuned(report: Report, kept: Kept, name: str, seeds: list[int], rates: list[float], rounds: int) -> float:
    """The first rate that does best on the first seed, at the rounds that all rates reached there."""
    curves = {rate: kept.curves[one] for rate in rates if (one := label(name, rate, seeds[0])) in kept.curves}
    if len(curves) < 2:
        return next(iter(curves), rates[0])
    reached = min(rounds, *map(max, curves.values()))
    values = {rate: settled(curve, reached) for rate, curve in curves.items()}
    report.checks += [Check(f"{name}_rate{rate:g}_after_{reached}", value, "%") for rate, value in values.items()]
    return max(values, key=values.__getitem__)


def settled(curve: Curve, rounds: int) -> float:
    """Mean accuracy over the last fifth of the rounds: about as many of each group's."""
    return statistics.mean(accuracy for number, accuracy in curve.items() if rounds * 4 // 5 < number <= rounds)


if __name__ == "__main__":
    main()
