"""Noise that clients add themselves, before their updates are masked: AUC and epsilon at three levels, and without.

    python benchmarks/reproduce/noise_secure.py --data amazon_train.npz --json docs/results/noise-secure.json

Logistic regression on Amazon, 92 clients a round, one in 20 lost. The first rounds are played over masked sums and the
same rounds in clear, and the models compared bit for bit; all rounds are then played in clear. A few minutes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from report import Check, Report

from reproduce.clicks import read_log
from securefl.config import Config, load_preset, override
from securefl.datasets import ClickLog
from securefl.engine import local
from securefl.engine.local import Trained
from securefl.federation.progress import Silent

MULTIPLIERS = (0.0, 0.3, 1.0, 3.0)


def main() -> None:
    """Each level: a few rounds twice, then all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="amazon_train.npz")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--masked", type=int, default=5, help="rounds that are taken over masked sums as well")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the figures here")
    asked = parser.parse_args()
    report, log = Report(sys.argv, ["numpy", "securefl"]), read_log(asked.data)
    for multiplier in MULTIPLIERS:
        report.checks += level(asked, log, multiplier)
        print(f"multiplier {multiplier:g} is done", flush=True)
    report.notes.append(f"seed {asked.seed}; radius 1, delta 1e-5; epsilon of the client invited most often")
    print(report.table())
    if asked.json:
        report.write(asked.json)


def level(asked: argparse.Namespace, log: ClickLog, multiplier: float) -> list[Check]:
    """Whether masked and clear agree, the AUC early and at the end, epsilon, and the rows that went up."""
    settings = configured(log, multiplier, asked.seed)
    masked, clear = dict[bool, Trained](), override(settings, {"cohort.rounds": asked.masked})
    summaries = {
        plain: local.run(
            clear, log, Silent(), processes=asked.processes, plain=plain, keep=partial(masked.__setitem__, plain)
        )
        for plain in (False, True)
    }
    same = summaries[False].exact and weights(masked[False]) == weights(masked[True])
    whole = override(settings, {"cohort.rounds": asked.rounds})
    run = local.run(whole, log, Silent(), processes=asked.processes, plain=True)
    name, last = f"noise_{multiplier:g}", run.per_round[-1]
    done, looks = (
        [record for record in run.per_round if record.completed],
        sorted({min(10, asked.rounds), asked.rounds}),
    )
    checks = [
        Check(f"{name}_masked_is_clear", float(same), "", 1.0, 1.0),
        *(Check(f"{name}_round_{at}", run.per_round[at - 1].auc or 0.0, "AUC") for at in looks),
        Check(f"{name}_rows_up", sum(r.rows_uploaded for r in done) / max(1, len(done)), "rows"),
        Check(
            f"{name}_kB", (summaries[False].bytes_up_per_client + summaries[False].bytes_down_per_client) / 1e3, "kB"
        ),
    ]
    if last.epsilon_sums_spent is not None:
        checks.append(Check(f"{name}_epsilon", last.epsilon_sums_spent, "nats"))
    return checks


def configured(log: ClickLog, multiplier: float, seed: int) -> Config:
    """Cohorts of a twentieth of the users; claims at 3/4, so that rows reach a floor that covers every loss."""
    settings: Mapping[str, object] = {
        "cohort.clients": log.users // 20,
        "cohort.dropout": 0.05,
        "cohort.seed": seed,
        "privacy.response": "3/4",
        "privacy.honest_claimants": 6,
        "privacy.noise_multiplier": multiplier,
        "privacy.delta": 1e-5,
        "training.model": "logistic",
        "training.strategy": "FedAvg",
        "training.history": 50,
        "training.scale": 1.0,
        "training.quantization_bits": 13,
        "secagg.ring_bits": 32,
    }
    return override(load_preset("small"), settings)


def weights(trained: Trained) -> bytes:
    """All of the model."""
    tables = trained.weights.tables.values()
    return trained.weights.dense.tobytes() + b"".join(table.tobytes() for table in tables)


if __name__ == "__main__":
    main()
