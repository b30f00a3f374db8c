"""FedLaAvg beside FedAvg on CIFAR-10, when clients of classes 0 to 4 and of classes 5 to 9 are there in turn.

    python benchmarks/reproduce/cifar.py --data cifar10.npz --rounds 1000 --seeds 1,2,3 --json docs/results/cifar.json

LeNet, 1000 clients of one class each, 100 in a round, 10 local steps of 5 images, rate 0.01 x 0.9999^round; the first
group is there for 10 rounds, the second for 5. The paper (arXiv 2002.07399, v1) reports a lead of 4.23 points; how many
rounds it took is not known. Needs torch. About a second a round on one core; the file of --runs keeps finished runs.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from report import Check, Report

from reproduce import lenet
from reproduce.course import Course, Curve, Floats, Kept, train
from securefl.datasets.images import load_images, one_class_each
from securefl.federation.availability import Alternating
from securefl.federation.dense import Strategy

CLIENTS, STEPS, BATCH, SPANS = 1000, 10, 5, (10, 5)
LEAD = 4.23


class Pictures:
    """Everybody's pictures: 50 of one class each."""

    def __init__(self, path: Path, seed: int) -> None:
        images, self._draw, self._seed = load_images(path), np.random.default_rng([seed, 0]), seed
        self._labels, self._test_labels = images.train_labels, images.test_labels
        mean, spread = images.train.mean(axis=(0, 1, 2)), images.train.std(axis=(0, 1, 2))
        self._train, self._test = (
            ((x - mean) / spread).astype(np.float32).transpose(0, 3, 1, 2) for x in (images.train, images.test)
        )
        self._parts = one_class_each(self._labels, np.ones(CLIENTS), self._draw)
        self.samples = np.array([part.size for part in self._parts])

    def init(self) -> Floats:
        """LeNet's first parameters."""
        return lenet.init(self._seed)

    def updates(self, model: Floats, cohort: NDArray[np.int64], rate: float, strategy: Strategy) -> Floats:
        """Local training of the whole cohort at once."""
        picks = [self._parts[u][self._draw.integers(self.samples[u], size=(STEPS, BATCH))] for u in cohort]
        at, scale = np.stack(picks), strategy.loss_scale(self.samples[cohort])
        return lenet.descend(model, self._train[at], self._labels[at], rate, scale, strategy.proximal)

    def accuracy(self, model: Floats) -> float:
        """On the test pictures, percent."""
        return lenet.accuracy(model, np.ascontiguousarray(self._test), self._test_labels)


def main() -> None:
    """Every run that is missing, then the lead."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="cifar10.npz, or the pack of JPEG files")
    parser.add_argument("--runs", type=Path, default=Path("cifar-runs.json"), help="where finished runs are kept")
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--rates", default="0.01", help="first rates for both; each is judged at its best")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the figures here")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    report, kept = Report(sys.argv, ["numpy", "torch", "securefl"]), Kept(asked.runs)
    seeds, rates = [int(seed) for seed in asked.seeds.split(",")], [float(rate) for rate in asked.rates.split(",")]
    best = {}
    for name in ("FedAvg", "FedLaAvg"):
        reached = {rate: [settled(course_of(asked, kept, name, seed, rate)) for seed in seeds] for rate in rates}
        rate = max(reached, key=lambda rate: statistics.mean(reached[rate]))
        best[name] = reached[rate]
        report.checks += [
            Check(f"{name}_seed{seed}", value, "%") for seed, value in zip(seeds, best[name], strict=True)
        ]
        report.notes.append(f"{name}: best first rate {rate} of {asked.rates}")
    leads = [ours - theirs for theirs, ours in zip(best["FedAvg"], best["FedLaAvg"], strict=True)]
    report.checks.append(Check("lead_mean", statistics.mean(leads), "points", 0, LEAD))
    report.checks.append(Check("lead_spread", statistics.stdev(leads) if len(leads) > 1 else 0, "points"))
    print(report.table())
    if asked.json:
        report.write(asked.json)


def course_of(asked: argparse.Namespace, kept: Kept, name: str, seed: int, rate: float) -> Curve:
    """The curve of one strategy."""
    turn = (np.arange(CLIENTS) % 10 >= 5).astype(np.int64)
    course = Course(asked.rounds, 5, lambda number: rate * 0.9999**number)
    label = f"{name} rate {rate} seed {seed} rounds {asked.rounds}"
    return kept.curve(
        label, lambda tell: train(Pictures(asked.data, seed), name, Alternating(turn, SPANS), course, seed, tell)
    )


def settled(curve: Curve) -> float:
    """Mean accuracy over the last fifth of the rounds, whole turns of both groups."""
    last = max(curve)
    return statistics.mean(accuracy for number, accuracy in curve.items() if number > last * 4 // 5)


if __name__ == "__main__":
    main()
