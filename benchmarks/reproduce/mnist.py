"""FedLaAvg's availability table on MNIST: clients of the first D classes are there for E rounds, then the others.

    python benchmarks/reproduce/mnist.py --data mnist.npz --json docs/results/mnist.json

Softmax regression, 1000 clients of one class each, 100 in a round, 10 local steps of 5 samples, rate 0.01, 4000 rounds.
Beside each row stands the paper's figure (arXiv 2002.07399, journal version): mean and lowest test accuracy over rounds
2000 to 4000, looked at every 20 rounds as the authors' program does. About half an hour on one core; what is done is
kept in the file of --runs, and a killed run goes on. For one row FedAvg is also trained as in the authors' program:
scaled losses and a plain mean, and batches that repeat no sample.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from report import Check, Report

from reproduce.course import STRATEGIES, Course, Curve, Floats, Kept, Run, write_curves
from securefl.datasets.images import load_images, one_class_each
from securefl.federation.availability import Alternating, Always
from securefl.federation.dense import FedAvg, Strategy
from securefl.models.softmax import SoftmaxRegression

CLIENTS, STEPS, BATCH = 1000, 10, 5
LOOK = 20
PAPER = {  # (E, D): mean and lowest of FedAvg, mean of FedProx, mean and lowest of FedLaAvg
    (50, 1): (90.05, 86.3, 90.01, 91.79, 91.6),
    (100, 1): (87.72, 77.4, 87.77, 91.79, 91.5),
    (100, 3): (84.02, 70.1, 84.25, 91.62, 91.0),
    (100, 5): (78.16, 67.7, 78.50, 90.93, 89.0),
    (200, 1): (83.15, 65.7, 83.25, 91.26, 89.8),
}
SEQUENTIAL = 91.90
"""The paper's accuracy of sequential SGD."""
COMPARED = ("FedAvg", "FedProx", "FedLaAvg", "MIFA")
RELEASED = "FedAvg as released"
Contributions = tuple[Floats, Floats]


class Digits:
    """Everybody's digits: a class each, sizes drawn from N(5, 1), cut to [3, 7] and normalised to all there are."""

    def __init__(self, path: Path, seed: int, *, distinct: bool = False) -> None:
        self._distinct = distinct
        images, self.draw = load_images(path), np.random.default_rng([seed, 0])
        self._labels, self._test_labels = images.train_labels, images.test_labels
        self._train, self._test = (x.reshape(len(x), -1) / np.float32(255) for x in (images.train, images.test))
        sizes = np.clip(self.draw.normal(5, 1, CLIENTS), 3, 7)
        self._parts = one_class_each(self._labels, sizes, self.draw)
        self.samples = np.array([part.size for part in self._parts])
        self._model = SoftmaxRegression(self._train.shape[1], images.classes)

    def init(self) -> Floats:
        """Zeros."""
        return self._model.init()

    def updates(self, model: Floats, cohort: NDArray[np.int64], rate: float, strategy: Strategy) -> Floats:
        """Local training of the whole cohort at once."""
        at = np.stack([self._parts[u][self._picks(int(self.samples[u]))] for u in cohort])
        scale = strategy.loss_scale(self.samples[cohort])
        descend = self._model.descend
        return descend(model, self._train[at], self._labels[at], rate, loss_scale=scale, proximal=strategy.proximal)

    def _picks(self, samples: int) -> NDArray[np.int64]:
        """Which of a client's samples its steps take, (STEPS, BATCH); distinct ones only repeat when all were taken."""
        if not self._distinct:
            return self.draw.integers(samples, size=(STEPS, BATCH))
        passes = [self.draw.permutation(samples) for _ in range(-(-STEPS * BATCH // samples))]
        return np.concatenate(passes)[: STEPS * BATCH].reshape(STEPS, BATCH)

    def accuracy(self, model: Floats) -> float:
        """On the test digits, percent."""
        return 100 * self._model.accuracy(model, self._test, self._test_labels)


class ScaledFedAvg(FedAvg):
    """FedAvg as in the authors' program: losses scaled by N n_u / n, and the plain mean of the updates."""

    def __init__(self, samples: NDArray[np.integer]) -> None:
        self._mean = float(samples.mean())

    def loss_scale(self, samples: NDArray[np.integer]) -> Floats:
        """N n_u / n."""
        return (samples / self._mean).astype(np.float32)

    def contributions(self, cohort: NDArray[np.int64], updates: Floats, samples: NDArray[np.integer]) -> Contributions:
        """The update, and 1."""
        del cohort
        return updates, np.ones(samples.size, np.float32)


STRATEGIES[RELEASED] = lambda task: ScaledFedAvg(task.samples)


def main() -> None:
    """Every run that is missing, then the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="mnist.npz: x_train, y_train, x_test, y_test")
    parser.add_argument("--runs", type=Path, default=Path("mnist-runs.json"), help="where finished runs are kept")
    parser.add_argument("--rounds", type=int, default=4000, help="fewer for a quick look; the paper's are 4000")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--curves", type=Path, help="write the curves that the plot is drawn from here")
    asked = parser.parse_args()
    report, kept = Report(sys.argv, ["numpy", "securefl"]), Kept(asked.runs)
    for (span, first), paper in PAPER.items():
        curves = {name: course_of(asked, kept, name, span, first) for name in COMPARED}
        report.checks += row(f"E{span}_D{first}", curves, paper, asked.rounds)
    released = course_of(asked, kept, RELEASED, 100, 5)
    report.checks.append(Check("E100_D5_FedAvg_as_released", tail(released, asked.rounds).mean(), "%"))
    steady = {name: course_of(asked, kept, name, 0, 0) for name in ("FedAvg", "FedLaAvg")}
    report.checks += [Check(f"always_{name}", tail(c, asked.rounds).mean(), "%") for name, c in steady.items()]
    report.notes.append(
        f"seed {asked.seed}; the paper's sequential SGD reaches {SEQUENTIAL} %; always: nobody ever away; "
        f"every_10: the same runs looked at every 10 rounds instead of every {LOOK}"
    )
    print(report.table())
    if asked.json:
        report.write(asked.json)
    if asked.curves:
        write_curves(asked.curves, kept.curves)


def course_of(asked: argparse.Namespace, kept: Kept, name: str, span: int, first: int) -> Curve:
    """The curve of one strategy. A span of 0 rounds: everybody is always there."""
    turn = (np.arange(CLIENTS) % 10 >= first).astype(np.int64)
    availability = Alternating(turn, (span, span)) if span else Always(CLIENTS)
    course = Course(10, lambda _: 0.01)
    return kept.curve(
        f"E{span} D{first} {name} seed {asked.seed}",
        asked.rounds,
        lambda: Run(Digits(asked.data, asked.seed, distinct=name == RELEASED), name, availability, course, asked.seed),
    )


def tail(curve: Curve, rounds: int, every: int = LOOK) -> NDArray[np.float64]:
    """Accuracies over the second half of the rounds."""
    return np.array([accuracy for number, accuracy in curve.items() if number > rounds // 2 and number % every == 0])


def row(label: str, curves: dict[str, Curve], paper: tuple[float, ...], rounds: int) -> list[Check]:
    """Our figures; how far FedLaAvg's mean, and its lead over FedAvg, are from the paper's."""
    tails = {name: tail(curve, rounds) for name, curve in curves.items()}
    ours = [Check(f"{label}_{name}", values.mean(), "%") for name, values in tails.items()]
    lowest = [Check(f"{label}_{name}_lowest", values.min(), "%") for name, values in tails.items()]
    fedavg, latest = tails["FedAvg"].mean(), tails["FedLaAvg"].mean()
    off, gap_off = abs(latest - paper[3]), abs(latest - fedavg - (paper[3] - paper[0]))
    return [
        *ours,
        *lowest,
        Check(f"{label}_FedAvg_every_10", tail(curves["FedAvg"], rounds, 10).mean(), "%"),
        Check(f"{label}_FedLaAvg_off_paper", off, "points", 0.5, 0.2, "<="),
        Check(f"{label}_lead_off_paper", gap_off, "points", 2.0, 1.0, "<="),
    ]


if __name__ == "__main__":
    main()
