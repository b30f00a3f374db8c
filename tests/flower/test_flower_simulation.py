"""Flower's own simulation, and the soak: their scripts end with exit code 0 only if every sum was exact."""

# ruff: noqa: S603 -- the programs started are this repository's own and what its pages say

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from witnessed import alone, noted, watched

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]
APP, BENCHMARKS = ROOT / "examples" / "flower_submodel", ROOT / "benchmarks"
METADATA = {"169.254.169.254", "metadata.google.internal"}
"""Ray asks the machine's cloud, if there is one, for its name, whatever the settings of its statistics are."""


def figures(tmp_path: Path, unshared: list[str], script: str, *options: str) -> dict[str, float]:
    """What a script of the benchmarks reports where there is no network but loopback, nor an attempt at another."""
    out, notes = tmp_path / "figures.json", tmp_path / "notes"
    command = [BENCHMARKS / script, *options, "--json", out]
    done = alone(unshared, *command, environment=watched(notes, BENCHMARKS))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert noted(notes)[1] <= METADATA
    return {check["name"]: check["value"] for check in json.loads(out.read_text())["checks"]}


@pytest.mark.slow
@pytest.mark.needs("flwr", "ray", "network namespace")
def test_a_hundred_nodes_of_which_twenty_are_lost(tmp_path: Path, unshared: list[str]) -> None:
    found = figures(
        tmp_path, unshared, "flower_simulation.py", "--clients", "100", "--loss", "0.2", "--numbers", "1000"
    )
    assert found["survivors_100"] == 80


@pytest.mark.slow
@pytest.mark.needs("flwr", "ray", "network namespace")
def test_flwr_run_takes_the_example_as_its_page_says(tmp_path: Path, unshared: list[str]) -> None:
    """In a process namespace as well: the SuperLink that `flwr run` leaves behind ends with it."""
    install, *commands = (APP / "README.md").read_text().partition("```sh\n")[2].partition("```")[0].splitlines()
    assert install.startswith("pip install")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = watched(tmp_path / "notes", FLWR_HOME=str(tmp_path / "flwr"), PATH=path)
    whole = [*unshared, "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, HERE / "loopback.py"]
    done = subprocess.run(
        [*whole, "bash", "-ec", "\n".join(commands)],
        cwd=APP.parents[1],
        capture_output=True,
        text=True,
        check=False,
        timeout=1500,
        env=environment,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "round 2: done" in done.stdout
    assert noted(tmp_path / "notes")[1] <= METADATA


@pytest.mark.slow
@pytest.mark.needs("network namespace")
def test_a_short_soak_is_exact_and_stays_flat(tmp_path: Path, unshared: list[str]) -> None:
    found = figures(tmp_path, unshared, "soak.py", "--rounds", "30")
    assert found["exact"] >= 20
    assert found["exact"] + found["too_few"] == 30
    assert found["server_restarts"] == 1
    assert min(found["messages_lost"], found["client_restarts"]) > 5
    assert found["memory_mb_end"] <= 1.1 * found["memory_mb_warm"]
