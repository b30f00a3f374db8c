"""``securefl demo --export``: a real run leaves a submodel with which a session ranks as the trainer would."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from securefl.cli.export import exporter
from securefl.datasets.clicklog import Samples
from securefl.datasets.synthetic import synthetic_click_log
from securefl.engine import local
from securefl.errors import ConfigurationError
from securefl.inference import Ranker, load_submodel
from securefl.models import DIN, LogisticRegression, TableSlice, Weights

if TYPE_CHECKING:
    from test_cli_demo import Command

TINY = ("--clients", "6", "--rounds", "1", "--dropout", "0", "--processes", "1", "--set", "privacy.honest_claimants=1")


def ranked_like_the_trainer(folder: Path, trained: local.Trained) -> None:
    model = load_submodel(folder / "submodel.safetensors")
    clicks = np.loadtxt(folder / "clicks.txt", np.int64)
    items, n = model.items, len(model.items)
    samples = Samples(items, np.zeros(n, bool), clicks, np.zeros(n, np.int64), np.full(n, len(clicks)))
    tables = trained.weights.tables
    slices = {"items": TableSlice(items, tables["items"][items]), "categories": TableSlice.whole(tables["categories"])}
    wanted = trained.model.predict(trained.weights.dense, slices, samples, model.user)
    found = Ranker(model, candidates=n).chances(items, clicks)
    assert np.abs(found - wanted).max() < 1e-5
    assert len(items) < len(tables["items"])


def test_what_is_exported_ranks_as_the_trainer_does(tmp_path: Path) -> None:
    log = synthetic_click_log("small", seed=0)
    model = DIN(log.category, log.categories)
    random, weights = np.random.default_rng(0), model.init(0)
    dense = weights.dense + 0.05 * random.standard_normal(weights.dense.shape, np.float32)
    users = random.standard_normal((log.users, model.width), np.float32)
    trained = local.Trained(model, Weights(dense, weights.tables), users)
    exporter(log, tmp_path)(trained)
    ranked_like_the_trainer(tmp_path, trained)


def test_a_model_that_sessions_do_not_run_is_not_exported(tmp_path: Path) -> None:
    log = synthetic_click_log("small", seed=0)
    model = LogisticRegression(log.category, log.categories)
    trained = local.Trained(model, model.init(0), np.zeros((log.users, 2), np.float32))
    with pytest.raises(ConfigurationError, match=r'--export: .* use training\.model="din"'):
        exporter(log, tmp_path)(trained)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_run_leaves_a_submodel_that_ranks_as_the_trainer_does(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = list[local.Trained]()
    run = local.run

    def spy(config: object, log: object, progress: object, *, keep: object, **rest: object) -> object:
        return run(config, log, progress, **rest, keep=lambda t: (kept.append(t), keep(t)))  # type: ignore[arg-type, operator]

    monkeypatch.setattr(local, "run", spy)
    outcome = command("demo", *TINY, "--export", tmp_path / "phone")
    assert outcome.code == 0, outcome.err
    ranked_like_the_trainer(tmp_path / "phone", kept[0])


def test_a_folder_that_cannot_be_made_is_named(command: Command, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    outcome = command("demo", *TINY, "--export", tmp_path / "file")
    assert outcome.code == 2
    assert "--export: " in outcome.err
