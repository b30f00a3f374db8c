"""The reproductions on click logs: whole cohorts in clear are the library's own plain rounds, and short runs write."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from securefl.config import Config, load_preset, override
from securefl.datasets.synthetic import synthetic_click_log
from securefl.engine import local
from securefl.federation.progress import Silent
from securefl.models import LocalUpdate, RowUpdate
from securefl.submodel import quantize

ROOT = Path(__file__).parents[2]
FEW = {"cohort.clients": 8, "cohort.rounds": 3, "cohort.dropout": 0.0, "cohort.seed": 5, "privacy.honest_claimants": 2}


@pytest.fixture
def reproduce(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from reproduce import clicks

    return clicks


def config(**settings: object) -> Config:
    return override(load_preset("small"), FEW | settings)


@pytest.mark.parametrize("strategy", ["SubmodelAvg", "FedAvg", "FedSubAvg"])
def test_cohorts_in_clear_are_the_plain_rounds_but_for_rounding(reproduce: Any, strategy: str) -> None:
    log, told = synthetic_click_log("small", seed=3), list[str]()
    run = reproduce.Federated(config(), log, strategy)
    found = reproduce.curve(run, 3, 1, told.append)
    plain = local.run(config(**{"training.strategy": strategy}), log, Silent(), plain=True)
    assert [found[number] for number in (1, 2, 3)] == pytest.approx([r.auc for r in plain.per_round], abs=2e-4)
    assert found[0] == plain.auc_start
    assert len(told) == 3
    assert max(found.values()) > 0.5


def test_a_validation_log_ends_where_training_does(reproduce: Any) -> None:
    log = synthetic_click_log("small", seed=3)
    inner = reproduce.without_test(log)
    for user in (0, 7, log.users - 1):
        both = [inner.train(user), inner.test(user)]
        seen = np.concatenate([part.targets for part in both])
        assert seen.tolist() == log.train(user).targets.tolist()


def test_shuffled_labels_keep_every_users_rate(reproduce: Any) -> None:
    log = synthetic_click_log("small", seed=3)
    other = reproduce.shuffled(log)
    assert (np.bincount(log.user, log.label) == np.bincount(log.user, other.label)).all()
    assert (log.label != other.label).mean() > 0.1


def test_training_in_one_place_learns(reproduce: Any) -> None:
    log = synthetic_click_log("small", seed=3)
    found = reproduce.curve(reproduce.Central(config(**{"cohort.clients": 100}), log), 6, 3, lambda _: None)
    assert found[6] > max(found[0], 0.55)


def test_noise_reaches_every_sum_and_updates_stay_in_their_ball(reproduce: Any) -> None:
    from reproduce.noisy import Noisy

    log = synthetic_click_log("small", seed=3)
    quiet, loud = (Noisy(config(**{"training.scale": 1.0}), log, 0.5, z) for z in (0.0, 1.0))
    sums = []
    for run in (quiet, loud):
        kept = run._sum

        def watched(*arguments: Any, kept: Any = kept) -> Any:
            sums.append(kept(*arguments))
            return sums[-1]

        run._sum = watched
        run.play(1)
    off = [(sums[1].dense - sums[0].dense), (sums[1].tables["items"].sums - sums[0].tables["items"].sums)]
    radius = 0.5 * quiet.plan.row_quantization.levels
    assert [float(one.std()) for one in off] == pytest.approx([radius, radius], rel=0.1)
    assert sums[0].dense_count == sums[1].dense_count == 8
    rng = np.random.default_rng(0)
    rows = RowUpdate(np.arange(30), rng.normal(size=(30, 18)).astype(np.float32), np.ones(30, np.int64))
    dense = rng.normal(size=quiet.plan.dense).astype(np.float32)
    held = quiet._clipped(LocalUpdate(dense, {"items": rows}, 3, 0.0, dense[:18]))
    parts = ((held.dense[None], 1), (held.rows["items"].deltas, 30))
    whole = [quantize(x, np.ones(n, np.int64), quiet.plan.row_quantization, rng.bytes)[:, :-1] for x, n in parts]
    assert 0.9 * radius < sum(float((x.astype(float) ** 2).sum()) for x in whole) ** 0.5 <= radius
    assert quiet.epsilon == float("inf")
    assert 0 < loud.epsilon < 50


@pytest.mark.slow
@pytest.mark.needs("data")
def test_a_short_reproduction_writes_its_figures_and_keeps_its_runs(data_folder: Path, tmp_path: Path) -> None:
    runs, file, curves = tmp_path / "runs.json", tmp_path / "figures.json", tmp_path / "curves.json"
    command = [sys.executable, "benchmarks/reproduce/auc.py", "--data", data_folder / "ml-100k" / "ml100k.npz"]
    command += ["--rounds", "1", "--secure-rounds", "1", "--runs", runs, "--json", file, "--curves", curves]
    command += ["--tuning-rounds", "1"]
    said = [subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout for _ in range(2)]  # noqa: S603
    checks = {check["name"]: check["value"] for check in json.loads(file.read_text())["checks"]}
    assert {"one_fedavg", "tuned_submodel_7_8", "secure_off_plain", "one_lead"} <= checks.keys()
    assert checks["secure_off_plain"] < 1e-3
    assert len(json.loads(curves.read_text())) == 14
    assert ("round 1 of 1" in said[0], "round 1 of 1" in said[1]) == (True, False)
