"""Flower's own simulation, and the soak: their scripts end with exit code 0 only if every sum was exact."""

# ruff: noqa: S603 -- the programs started are this repository's own

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def figures(tmp_path: Path, *command: str) -> dict[str, float]:
    """What a script of the benchmarks reports."""
    out = tmp_path / "figures.json"
    done = subprocess.run(
        [sys.executable, BENCHMARKS / command[0], *command[1:], "--json", out],
        capture_output=True,
        text=True,
        check=False,
        timeout=1500,
        env={**os.environ, "PYTHONPATH": str(BENCHMARKS)},
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return {check["name"]: check["value"] for check in json.loads(out.read_text())["checks"]}


@pytest.mark.slow
@pytest.mark.needs("flwr", "ray")
def test_a_hundred_nodes_of_which_twenty_are_lost(tmp_path: Path) -> None:
    found = figures(tmp_path, "flower_simulation.py", "--clients", "100", "--loss", "0.2", "--numbers", "1000")
    assert found["survivors_100"] == 80


@pytest.mark.slow
def test_a_short_soak_is_exact_and_stays_flat(tmp_path: Path) -> None:
    found = figures(tmp_path, "soak.py", "--rounds", "30")
    assert found["exact"] >= 20
    assert found["exact"] + found["too_few"] == 30
    assert found["server_restarts"] == 1
    assert min(found["messages_lost"], found["client_restarts"]) > 5
    assert found["memory_mb_end"] <= 1.1 * found["memory_mb_warm"]
