"""What privacy costs: bytes of a client in a round at the Taobao sizes, and AUC under noise in every sum.

    python benchmarks/reproduce/costs.py --data amazon_train.npz --json docs/results/costs.json

Bytes are those of frames, of one secure round of the `taobao` preset (arXiv 1911.02254: 1 to 2 MB against more than
10 MB). The full model's are of frames too, of a secure sum of that length among 12 clients, and by the formula for 100.
AUC on Amazon at four sums: updates cut to a ball, and with three levels of Skellam noise; epsilon by `dp.Release`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from report import Check, Report

from reproduce.clicks import Curve, Kept, curve, read_log, settle
from reproduce.noisy import DELTA, Noisy
from securefl import simulate
from securefl.config import Config, load_preset, override
from securefl.datasets import ClickLog, synthetic_click_log
from securefl.engine import local
from securefl.federation.planning import HALF_FLOAT_BYTES
from securefl.federation.progress import Silent

MEGABYTE = 1e6
RADIUS, MULTIPLIERS = 1.0, (0.0, 0.3, 1.0, 3.0)
FEW = 12


def main() -> None:
    """Bytes, then AUC."""
    settle()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="amazon_train.npz")
    parser.add_argument("--runs", type=Path, default=Path("costs-runs.json"), help="where finished runs are kept")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--models", default="logistic,din")
    parser.add_argument("--json", type=Path, help="write the figures here")
    asked = parser.parse_args()
    report = Report(sys.argv, ["numpy", "securefl"])
    report.checks += bytes_of_a_round()
    for model in asked.models.split(","):
        report.checks += noise(asked, model)
    report.notes.append(
        f"noise: updates in a ball of radius {RADIUS}, multiplier = deviation / radius; epsilon "
        f"at delta {float(DELTA):g} of the client invited most often, its updates replaced; claims are not in it"
    )
    print(report.table())
    if asked.json:
        report.write(asked.json)


def bytes_of_a_round() -> list[Check]:
    """Megabytes up and down of a client, with either suite of keys, and of the full model."""
    log, checks = synthetic_click_log("taobao", seed=0), []
    for kem, name, most in (("x25519", "x25519", 1.0), ("x25519-mlkem768", "hybrid", 1.4)):
        settings = {"cohort.rounds": 1, "cohort.dropout": 0.0, "secagg.kem": kem}
        summary = local.run(override(load_preset("taobao"), settings), log, Silent())
        up, down = summary.bytes_up_per_client / MEGABYTE, summary.bytes_down_per_client / MEGABYTE
        full = summary.full_model_bytes / MEGABYTE
        checks += [
            Check(f"{name}_up", up, "MB"),
            Check(f"{name}_down", down, "MB"),
            Check(f"{name}_submodel", up + down, "MB", most, most, "<="),
            Check(f"{name}_full_model", full, "MB"),
            Check(f"{name}_full_over_submodel", full / (up + down), "times", 10.0),
        ]
    return [*checks, Check("full_model_of_12", full_model(log), "MB")]


def full_model(log: ClickLog) -> float:
    """Of frames: a secure sum of as many numbers as the model has, among a few clients, and the model down."""
    numbers = 64_327 + 18 * (log.items + log.categories)
    update = np.full(numbers + 1, 2**27, np.int32)  # 12 of them need 32 bits
    found = simulate([update] * FEW, kem="x25519")
    return (found.bytes_up + found.bytes_down + HALF_FLOAT_BYTES * numbers) / MEGABYTE


def noise(asked: argparse.Namespace, model: str) -> list[Check]:
    """AUC at the end of the rounds at each level of noise, and epsilon."""
    log, kept, checks = read_log(asked.data), Kept(asked.runs), []
    for multiplier in MULTIPLIERS:
        config = noisy_config(log, model, asked.seed)

        def run(tell: Callable[[str], None], config: Config = config, multiplier: float = multiplier) -> Curve:
            task = Noisy(config, log, RADIUS, multiplier)
            found = curve(task, asked.rounds, 5, tell)
            return found | {-1: task.epsilon} if multiplier else found

        found = kept.curve(f"{model} noise {multiplier} seed {asked.seed} rounds {asked.rounds}", run)
        checks += [
            Check(f"{model}_noise_{multiplier:g}_round_{number}", found[number], "AUC")
            for number in (min(10, asked.rounds), asked.rounds)
        ]
        if multiplier:
            checks.append(Check(f"{model}_noise_{multiplier:g}_epsilon", found[-1], "nats"))
    return checks


def noisy_config(log: ClickLog, model: str, seed: int) -> Config:
    """Cohorts of a twentieth of the users, claims at 7/8."""
    settings = {
        "cohort.clients": log.users // 20,
        "cohort.dropout": 0.0,
        "cohort.seed": seed,
        "secagg.colluders": 0,
        "privacy.honest_claimants": 10,
        "training.model": model,
        "training.history": 50,
        "training.scale": 1.0,
        "training.quantization_bits": 14,  # what can be drawn bounds the deviation, counted in levels
    }
    return override(load_preset("small"), settings)


if __name__ == "__main__":
    main()
