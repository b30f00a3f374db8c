"""The benchmark of the C core runs, its sides agree, and every kernel with a target has its figure."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TARGETS = {
    "hashing": {"murmur_ratio"},
    "masks": {"mask_ratio", "mask_add_ratio", "mask_limit_fraction", "mask_rows_add_ratio"},
    "words": set(),
    "moduli": {"modmul_ratio", "modscale_ratio"},
    "shamir": {"shamir_share_ratio", "shamir_reconstruct_ratio"},
}
NEEDS = {"moduli": ("galois", "flint")}


@pytest.mark.slow
@pytest.mark.parametrize(
    "family",
    [pytest.param(name, marks=pytest.mark.needs(*NEEDS[name])) if name in NEEDS else name for name in TARGETS],
)
def test_every_target_has_its_figure(family: str, tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    command = [sys.executable, "benchmarks/core.py", "--only", family, "--rounds", "1", "--json", file]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)  # noqa: S603
    assert done.returncode == 0, done.stderr
    checks = {check["name"]: check for check in json.loads(file.read_text())["checks"]}
    assert {name for name, check in checks.items() if check["floor"] is not None} == TARGETS[family]
    assert all(check["value"] > 0 for check in checks.values())
