"""``securefl train`` and ``securefl report``: a file of settings in; a folder, sentences and exit codes out."""

# ruff: noqa: S603 -- the programs started are this repository's own

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from securefl.datasets.synthetic import SyntheticPlan, synthetic_click_log
from securefl.federation.records import read_line
from securefl.store import FolderLock

if TYPE_CHECKING:
    from conftest import Outcome

    Command = Callable[..., Outcome]

SETTINGS = """
[data]
path = "{data}"
[cohort]
clients = 8
rounds = 3
dropout = 0.1
seed = 7
[secagg]
kem = "x25519"
threshold = 4
[privacy]
honest_claimants = 2
[run]
checkpoint_every = 2
evaluate_every = 3
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty users of three hundred items."""
    log = synthetic_click_log(
        SyntheticPlan(users=40, items=300, categories=10, clicks=8, exponent=1.0, favourites=3), seed=3
    )
    path = tmp_path_factory.mktemp("data") / "clicks.npz"
    time = np.arange(len(log))
    np.savez(path, user=log.user, item=log.item, category=log.category[log.item], label=log.label, timestamp=time)
    return path


@pytest.fixture
def config(data: Path, tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(SETTINGS.format(data=data))
    return path


def last_line(outcome: Outcome) -> str:
    return outcome.err.splitlines()[-1]


def test_a_run_tells_how_it_goes_and_a_second_start_only_what_came_out(
    command: Command, config: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    outcome = command("train", config, "--run", folder, "--processes", "1", "--json", tmp_path / "run.json")
    assert outcome.code == 0, outcome.err
    told = [line for line in outcome.err.splitlines() if line.startswith("round ")]
    assert re.fullmatch(r"round 1 of 3: exact, \d of 8 clients, loss [\d.]+ \([\d.]+ s\), [\d.]+ s to go", told[0])
    assert re.fullmatch(r"round 3 of 3: exact, \d of 8 clients, AUC [\d.]+, loss [\d.]+ \([\d.]+ s\)", told[2])
    assert "3 rounds, none of them unfinished: all sums exact" in outcome.out
    records = [read_line(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [(record.round, record.auc is None) for record in records] == [(1, True), (2, True), (3, False)]
    kept = json.loads((tmp_path / "run.json").read_text())
    assert [record["round"] for record in kept["per_round"]] == [1, 2, 3]
    again = command("train", config, "--run", folder, "--processes", "1", "--json", "-")
    assert again.code == 0
    assert json.loads(again.out) == kept
    assert not [line for line in again.err.splitlines() if line.startswith("round ")]
    longer = command("train", config, "--run", folder, "--processes", "1", "--set", "cohort.rounds=4")
    assert longer.err.splitlines()[-2:][0] == "going on after round 3"


def test_a_plain_run_is_one_option_apart_and_ends_with_the_same_model(
    command: Command, config: Path, tmp_path: Path
) -> None:
    for name, options in (("secure", []), ("plain", ["--plain"])):
        assert command("train", config, "--run", tmp_path / name, "--processes", "1", *options).code == 0
    models = [(tmp_path / name / "model-000003.safetensors").read_bytes() for name in ("secure", "plain")]
    assert models[0] == models[1]
    outcome = command(
        "report", tmp_path / "secure", tmp_path / "plain", "--html", tmp_path / "both.html", "--json", "-"
    )
    assert outcome.code == 0, outcome.err
    told = json.loads(outcome.out)
    assert [told[name]["plain"] for name in ("secure", "plain")] == [False, True]
    assert told["secure"]["auc_end"] == told["plain"]["auc_end"]
    assert "its server saw every input" in " ".join(outcome.err.split())
    assert "2 runs beside each other" in (tmp_path / "both.html").read_text()


def test_the_ledger_of_a_run_is_audited(command: Command, config: Path, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.db"
    assert command("train", config, "--run", tmp_path / "run", "--processes", "1", "--ledger", ledger).code == 0
    outcome = command("audit", "--ledger", ledger, "--json", "-")
    assert outcome.code in (4, 5)
    found = {finding["id"]: finding for finding in json.loads(outcome.out)["findings"]}
    assert {"spent", "memory", "thin-rows", "overlap"} <= set(found)
    assert found["memory"]["verdict"] == "pass"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            "--set run.chekpoint_every=3",
            r"run\.chekpoint_every: no such setting; the nearest one is run\.checkpoint_every",
        ),
        ("--set training.stratgy=x", r"the nearest one is training\.strategy"),
        ("--set training.strategy=FedSGD", r"training\.strategy: got 'FedSGD'; use 'FedAvg' or"),
        ("--set run.evaluate_every=0", r"run\.evaluate_every: got 0; use a whole number of at least 1"),
        (
            "--set availability.spans=[0]",
            r"availability\.spans: got \[0\]; use a list, each a whole number of at least 1",
        ),
        ("--set availability.kind=trace", r"availability\.trace: kind = \"trace\" needs a file; name one"),
        ("--set availability.kind=nightly", r"availability\.kind: got 'nightly'; use 'alternating' or"),
        ("--set cohort.clients=41", r"cohort\.clients: 41 clients, but the data has only 40 users"),
        ("--set data.path=nowhere.npz", "nowhere.npz"),
        ("--plain --ledger x.db", "--ledger: a plain run shows its server everything"),
        ("--preset small", "--preset: the settings come from a file already"),
        ("--json .", r"--json: \. is a folder"),
    ],
)
def test_bad_settings_are_one_sentence_and_leave_nothing_behind(
    command: Command, config: Path, tmp_path: Path, arguments: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = command("train", config, "--run", tmp_path / "run", "--processes", "1", *arguments.split())
    assert outcome.code == 2
    assert re.search(sentence, last_line(outcome)), outcome.err
    assert not list(tmp_path.glob("run/model*"))
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


def test_a_file_that_is_no_click_log_is_refused(command: Command, config: Path, tmp_path: Path) -> None:
    images = tmp_path / "images.npz"
    np.savez(images, x_train=np.zeros((2, 28, 28), np.uint8), y_train=np.zeros(2))
    outcome = command("train", config, "--run", tmp_path / "run", "--set", f"data.path={images}")
    assert outcome.code == 2
    assert "images.npz" in last_line(outcome)
    assert "user" in last_line(outcome)


def test_two_runs_in_one_folder_are_refused(command: Command, config: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    lock = FolderLock(tmp_path / "run")
    outcome = command("train", config, "--run", tmp_path / "run")
    lock.close()
    assert outcome.code == 2
    assert "is at work in it; wait for its end, or name another folder" in last_line(outcome)


def test_a_run_of_which_no_round_finishes_is_exit_code_3(command: Command, config: Path, tmp_path: Path) -> None:
    options = ("--set", "cohort.dropout=0.99", "--processes", "1")
    outcome = command("train", config, "--run", tmp_path / "run", *options)
    assert outcome.code == 3
    assert re.match(r"securefl: none of 3 rounds could finish: \d clients left, 5 needed", last_line(outcome))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere"], "run nowhere: none is kept there; name a folder that securefl train --run was given"),
        (["one", "two"], "--html: a page about several runs needs a file; name one"),
        (["nowhere", "nowhere", "--html", "x.html"], "DIR: a run is named twice; name each once"),
    ],
)
def test_a_report_of_nothing_is_refused(command: Command, arguments: list[str], sentence: str) -> None:
    outcome = command("report", *arguments)
    assert (outcome.code, outcome.err) == (2, f"securefl: {sentence}\n")


@pytest.mark.needs("tensorboardX")
def test_curves_go_to_tensorboard_if_it_is_installed(command: Command, config: Path, tmp_path: Path) -> None:
    assert command("train", config, "--run", tmp_path / "run", "--plain", "--processes", "1").code == 0
    (events,) = (tmp_path / "run" / "tensorboard").iterdir()
    told = events.read_bytes()
    for name in (b"model/auc", b"model/loss", b"bytes/up", b"privacy/epsilon_claims"):
        assert told.count(name) == (1 if name == b"model/auc" else 3)


def test_tensorboard_is_not_loaded_before_it_is_needed() -> None:
    code = "import sys, securefl.cli.train, securefl.cli.tensorboard; sys.exit('tensorboardX' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
