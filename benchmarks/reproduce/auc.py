"""Test AUC of DIN on real clicks: in one place, by conventional federated averaging, and on submodels.

    python benchmarks/reproduce/auc.py --data amazon_train.npz --json docs/results/auc-amazon.json

Every way of training twice: at one learning rate for all, as in the paper (arXiv 1911.02254), and at the best of 8
settings of its own, judged by the latest fifth of the training samples after --tuning-rounds. Cohorts of a twentieth
of the users. Rounds are in clear, a cohort in one computation, but claims and integers are the protocol's; secure
rounds of the same seed stand beside plain ones. Finished runs are kept in the file of --runs. About a quarter of an
hour of one core for a data set and a seed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from report import Check, Report

from reproduce.clicks import Central, Curve, Federated, Kept, curve, read_log, settle, shuffled, without_test
from securefl.config import Config, load_preset, override
from securefl.datasets import ClickLog
from securefl.engine import local
from securefl.federation.progress import Silent

WAYS = {  # strategy, claims, least claimants of a row that goes up
    "central": ("", "none", 1),
    "fedavg": ("FedAvg", "none", 1),
    "submodel_none": ("SubmodelAvg", "none", 1),
    "submodel_15_16": ("SubmodelAvg", "15/16", 10),
    "submodel_7_8": ("SubmodelAvg", "7/8", 10),
    "submodel_3_4": ("SubmodelAvg", "3/4", 10),
    "fedsubavg": ("FedSubAvg", "none", 1),
}
"""`fedavg` averages the whole model: a client changes its own rows alone, and all samples are the denominator."""
PAIR = ("fedavg", "submodel_7_8")
TUNED_LIKE = {"submodel_none": "submodel_7_8", "submodel_15_16": "submodel_7_8", "submodel_3_4": "submodel_7_8"}
RATES, EMBEDDING_RATES, COMMON = (0.03, 0.1, 0.3, 1.0), (10.0, 30.0, 300.0, 1000.0), (0.1, 100.0)
EVERY = 4
LEAD, SAME, TARGETS = 0.03, 0.002, (0.60, 0.63, 0.65)
LEADS_AFTER = (8, 12, 16, 20, 24, 32, 40, 48)


class Reproduction:
    """The runs of one data set."""

    def __init__(self, asked: argparse.Namespace) -> None:
        self._asked, self._kept, self._log = asked, Kept(asked.runs), read_log(asked.data)
        self.clients = self._log.users // 20

    def run(self, way: str, setting: tuple[float, float], seed: int) -> Curve:
        """Test AUC of a way of training at (learning rate, embedding rate)."""
        return self._curve("test", self._log, way, setting, seed, self._asked.rounds)

    def shuffled(self, way: str, seed: int) -> Curve:
        """As `run` at the common rate, with labels that tell nothing but how often each user clicks."""
        return self._curve("shuffled", shuffled(self._log), way, COMMON, seed, self._asked.rounds)

    def tuned(self, way: str) -> tuple[float, float]:
        """The best setting on validation: of four learning rates, then of five embedding rates with the best of them.

        Judged after `--tuning-rounds`: what is fast at first need not be best in the end.
        """
        way = TUNED_LIKE.get(way, way)
        rate = max(RATES, key=lambda one: self._validated(way, (one, COMMON[1])))
        return rate, max((COMMON[1], *EMBEDDING_RATES), key=lambda one: self._validated(way, (rate, one)))

    def engine(self, seed: int, rounds: int, *, plain: bool) -> Curve:
        """`submodel_7_8` at the common rate by the library's own engine, client after client; secure unless `plain`."""
        config = override(self._config("submodel_7_8", COMMON, seed), {"cohort.rounds": rounds})

        def run(_: object) -> Curve:
            summary = local.run(config, self._log, Silent(), plain=plain)
            return {record.round: record.auc or 0.5 for record in summary.per_round}

        kind = "plain" if plain else "secure"
        return self._kept.curve(f"{kind} submodel_7_8 {COMMON} seed {seed} rounds {rounds}", run)

    def _validated(self, way: str, setting: tuple[float, float]) -> float:
        return level(self._curve("validation", without_test(self._log), way, setting, 0, self._asked.tuning_rounds), 2)

    def _curve(
        self, split: str, log: ClickLog, way: str, setting: tuple[float, float], seed: int, rounds: int
    ) -> Curve:
        config, strategy = self._config(way, setting, seed), WAYS[way][0]
        return self._kept.curve(
            f"{split} {way} {setting} seed {seed} rounds {rounds}",
            lambda tell: curve(
                Federated(config, log, strategy) if strategy else Central(config, log), rounds, EVERY, tell
            ),
        )

    def _config(self, way: str, setting: tuple[float, float], seed: int) -> Config:
        _, response, floor = WAYS[way]
        return override(
            load_preset("small"),
            {
                "cohort.clients": self.clients,
                "cohort.dropout": 0.0,
                "cohort.seed": seed,
                "secagg.colluders": 0,
                "privacy.response": response,
                "privacy.honest_claimants": floor,
                "training.learning_rate": setting[0],
                "training.embedding_rate": setting[1],
                "training.history": 50,
                "training.scale": 1.0,
            },
        )


def level(curve: Curve, last: int = 4) -> float:
    """Mean of the last few figures: where a run has come to."""
    return statistics.mean(list(curve.values())[-last:])


def rounds_to(curve: Curve, target: float) -> int | None:
    """The first round looked at with a target AUC; None if there is none."""
    return next((number for number, auc in curve.items() if auc >= target), None)


def main() -> None:
    """Every run that is missing, then the table."""
    settle()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="amazon_train.npz or ml100k.npz")
    parser.add_argument("--runs", type=Path, default=Path("auc-runs.json"), help="where finished runs are kept")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--secure-rounds", type=int, default=20)
    parser.add_argument("--tuning-rounds", type=int, default=20)
    parser.add_argument("--seeds", default="1")
    parser.add_argument("--tuned", default=",".join(WAYS), help="which ways are also trained at their own rates")
    parser.add_argument("--swapped", action="store_true", help="also FedAvg and 7/8 at each other's tuned rates")
    parser.add_argument("--shuffled", action="store_true", help="also with each user's labels shuffled: rates alone")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--curves", type=Path, help="write the curves of the first seed here, for plots.py")
    asked = parser.parse_args()
    report, runs = Report(sys.argv, ["numpy", "securefl"]), Reproduction(asked)
    seeds = [int(seed) for seed in asked.seeds.split(",")]
    secure, plain = (runs.engine(seeds[0], asked.secure_rounds, plain=plain) for plain in (False, True))
    report.checks.append(Check("secure_off_plain", apart(secure, plain), "AUC", SAME, 0.0, "<="))
    together = runs.run("submodel_7_8", COMMON, seeds[0])
    report.checks.append(Check("together_off_plain", apart(together, plain), "AUC"))
    drawn: dict[str, Curve] = {}
    for name, setting_of in (("one", lambda _: COMMON), ("tuned", runs.tuned)):
        settings = {way: setting_of(way) for way in (asked.tuned.split(",") if name == "tuned" else WAYS)}
        curves = {way: [runs.run(way, setting, seed) for seed in seeds] for way, setting in settings.items()}
        report.checks += rows(name, curves, paper=name == "one")
        drawn |= {f"{name} {way}": some[0] for way, some in curves.items()}
        if name == "tuned":
            report.notes += [
                f"{way}: learning rate {rate:g}, embeddings {far:g}" for way, (rate, far) in settings.items()
            ]
    for whose in PAIR if asked.swapped else ():
        both = {way: [runs.run(way, runs.tuned(whose), seed) for seed in seeds] for way in PAIR}
        report.checks += rows(f"rate_of_{whose}", both, paper=False)
    if asked.shuffled:
        report.checks += [Check(f"shuffled_{way}", level(runs.shuffled(way, seeds[0])), "AUC") for way in PAIR]
    report.notes.append(f"{runs.clients} clients a round, seeds {asked.seeds}; one: rates {COMMON} for all")
    print(report.table())
    if asked.json:
        report.write(asked.json)
    if asked.curves:
        asked.curves.write_text(json.dumps(drawn) + "\n")


def apart(one: Curve, other: Curve) -> float:
    """The largest difference in any round of both."""
    return max(abs(one[number] - other[number]) for number in one.keys() & other.keys())


def rows(name: str, curves: dict[str, list[Curve]], *, paper: bool) -> list[Check]:
    """By way: AUC at the end, the best, spread over seeds; how far 7/8 leads FedAvg, rounds to targets."""
    checks = []
    for way, some in curves.items():
        ends = [level(one) for one in some]
        checks.append(Check(f"{name}_{way}", statistics.mean(ends), "AUC"))
        checks.append(Check(f"{name}_{way}_best", statistics.mean(max(one.values()) for one in some), "AUC"))
        if len(ends) > 1:
            checks.append(Check(f"{name}_{way}_spread", statistics.stdev(ends), "AUC"))
        for target in TARGETS:
            reached = [rounds_to(one, target) for one in some]
            if None not in reached:
                checks.append(
                    Check(f"{name}_{way}_rounds_to_{target}", statistics.mean(filter(None, reached)), "rounds")
                )
    leads = [level(a) - level(b) for a, b in zip(curves["submodel_7_8"], curves["fedavg"], strict=True)]
    floor = LEAD if paper else None
    checks.append(Check(f"{name}_lead", statistics.mean(leads), "AUC", floor, 0.07 if paper else None))
    checks += [Check(f"{name}_lead_{place}", lead, "AUC") for place, lead in enumerate(leads, 1) if len(leads) > 1]
    for number in LEADS_AFTER:
        then = [
            a[number] - b[number] for a, b in zip(curves["submodel_7_8"], curves["fedavg"], strict=True) if number in a
        ]
        if then:
            checks.append(Check(f"{name}_lead_after_{number}", statistics.mean(then), "AUC"))
    return checks


if __name__ == "__main__":
    main()
