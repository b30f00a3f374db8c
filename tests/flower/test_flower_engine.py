"""`securefl train --engine`: one configuration, three engines, one model."""

# ruff: noqa: S603 -- the command is this repository's own

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SETTINGS = """
[data]
path = "clicks.csv"
[cohort]
clients = 8
rounds = 2
dropout = 0.1
seed = 5
[secagg]
kem = "x25519"
threshold = 4
colluders = 0
[union]
bits = 32
[privacy]
honest_claimants = 1
[training]
dim = 4
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A configuration, and clicks of twelve users."""
    draw = np.random.default_rng(1)
    rows = [f"{t % 12},{item},{item % 5},{draw.integers(2)},{t}" for t, item in enumerate(draw.integers(60, size=480))]
    (tmp_path / "clicks.csv").write_text("\n".join(["user,item,category,label,timestamp", *rows, ""]))
    (tmp_path / "few.toml").write_text(SETTINGS)
    return tmp_path


def train(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """The command, as users start it."""
    command = [Path(sys.executable).parent / "securefl", "train", "few.toml", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=600)


@pytest.mark.slow
@pytest.mark.needs("flwr", "ray")
def test_the_engines_end_in_one_model(folder: Path) -> None:
    """One process, two, and nodes, each with one thread for matrix products."""
    models, exact = set(), "all sums exact"
    for engine, sums in (("local", exact), ("processes", exact), ("flower", "nobody has the clear sums")):
        done = train(folder, "--run", engine, "--engine", engine, "--processes", "2")
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"2 rounds, none of them unfinished: {sums}" in done.stdout
        models.add((folder / engine / "model-000002.safetensors").read_bytes())
    assert len(models) == 1
    again = train(folder, "--run", "flower", "--engine", "flower")
    assert again.returncode == 0
    assert "2 rounds" in again.stdout
    longer = train(folder, "--run", "flower", "--engine", "flower", "--set", "cohort.rounds=3")
    assert longer.returncode == 2
    assert "cohort.rounds: what the clients kept in 2 rounds is not with the nodes" in longer.stderr


@pytest.mark.needs("flwr")
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--plain"], "secure rounds only; leave --plain out"),
        (["--ledger", "run.db"], "leave --ledger out"),
    ],
)
def test_what_nodes_cannot_do_is_refused(folder: Path, options: list[str], sentence: str) -> None:
    done = train(folder, "--run", "run", "--engine", "flower", *options)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert not (folder / "run").exists()


@pytest.mark.needs("flwr")
def test_nodes_without_a_seed_are_refused(folder: Path) -> None:
    (folder / "few.toml").write_text(SETTINGS.replace("seed = 5\n", ""))
    done = train(folder, "--run", "run", "--engine", "flower")
    assert done.returncode == 2
    assert "set cohort.seed" in done.stderr
