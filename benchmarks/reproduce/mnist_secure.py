"""FedLaAvg on MNIST over masked sums of integers: the row E 100, D 5, with clients that get lost in mid-round.

    python benchmarks/reproduce/mnist_secure.py --data mnist.npz --json docs/results/mnist-secure.json

The first rounds are taken twice, masked (100 clients, all neighbours, threshold 67, hybrid keys) and in clear, and the
two models compared bit for bit. The run then goes on in clear, with the same integers. One invited client in 20 is
lost, at a message drawn at random. Some ten minutes on one core.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from report import Check, Report

from reproduce.mnist import CLIENTS, LOOK, PAPER, Digits
from securefl.engine.latest import LatestClients
from securefl.engine.simulation import STEPS
from securefl.federation.availability import Alternating
from securefl.federation.cohort import LongestOut
from securefl.federation.dense import FedLaAvg
from securefl.federation.latest import InMemoryUpdates, LatestPlan, RunningSum
from securefl.federation.randomness import Randomness
from securefl.secagg.quantize import Quantization

SPAN, FIRST, COHORT, RATE, LOST = 100, 5, 100, 0.01, 0.05
QUANTIZATION = Quantization(bits=20, clip=16.0, weight_max=1)
MESSAGES = [name for name in STEPS if name != "ConsistencyCheck"]


def main() -> None:
    """Both runs side by side, then one alone."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="mnist.npz")
    parser.add_argument("--rounds", type=int, default=4000)
    parser.add_argument("--masked", type=int, default=10, help="rounds that are taken over masked sums as well")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the figures here")
    asked = parser.parse_args()
    report = Report(sys.argv, ["numpy", "securefl"])
    accuracies, exact, opened = run(asked)
    values = np.array([accuracy for number, accuracy in accuracies.items() if number > asked.rounds // 2])
    report.checks += [
        Check("masked_rounds_exact", exact, "rounds", asked.masked, asked.masked),
        Check("rounds_opened", opened, "rounds"),
        Check(f"E{SPAN}_D{FIRST}_FedLaAvg", values.mean(), "%"),
        Check(f"E{SPAN}_D{FIRST}_FedLaAvg_lowest", values.min(), "%"),
        Check("off_paper", abs(values.mean() - PAPER[SPAN, FIRST][3]), "points", 0.5, 0.2, "<="),
    ]
    report.notes.append(f"seed {asked.seed}; {QUANTIZATION.bits} bits, clip {QUANTIZATION.clip:g}; {LOST:.0%} lost")
    print(report.table())
    if asked.json:
        report.write(asked.json)


def run(asked: argparse.Namespace) -> tuple[dict[int, float], int, int]:
    """Accuracies by round, masked rounds whose model and running sum were exact, rounds opened."""
    digits, random = Digits(asked.data, asked.seed), Randomness(asked.seed)
    model, rule = digits.init(), FedLaAvg(CLIENTS, 1, int(digits.samples.sum()))
    plan = LatestPlan(random.stream("run")(32), CLIENTS, model.size, 32, QUANTIZATION)
    params = plan.params(clients=COHORT, threshold=67, colluders=5, kem="x25519-mlkem768")
    clear, masked = (
        LatestClients(RunningSum(plan, model), [InMemoryUpdates() for _ in range(CLIENTS)], random) for _ in range(2)
    )
    available = Alternating((np.arange(CLIENTS) % 10 >= FIRST).astype(np.int64), (SPAN, SPAN))
    choose, draw = LongestOut(CLIENTS, random.generator("cohorts")), random.generator("losses")
    accuracies, exact, opened = dict[int, float](), 0, 0
    for number in range(1, asked.rounds + 1):
        cohort = choose.select(available.available(number), COHORT)
        updates = digits.updates(clear.running.model, cohort, RATE, rule)
        lost = {int(user): str(draw.choice(MESSAGES)) for user in cohort if draw.random() < LOST}
        opened += clear.round(number, cohort.tolist(), updates, params, RATE, lost=lost, secure=False)
        if number <= asked.masked:
            masked.round(number, cohort.tolist(), updates, params, RATE, lost=lost)
            exact += same(clear.running, masked.running)
            print(f"round {number}: exact in {exact}", flush=True)
        if number % LOOK == 0:
            accuracies[number] = digits.accuracy(clear.running.model)
    return accuracies, exact, opened


def same(one: RunningSum, other: RunningSum) -> bool:
    """Bit for bit."""
    return one.model.tobytes() == other.model.tobytes() and one.total.tobytes() == other.total.tobytes()


if __name__ == "__main__":
    main()
