"""The benchmark of inference runs, all engines agree, and every check with a floor has its figure."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DIN = {f"din{width}_b{batch}_vs_{peer}" for width in (18, 64) for batch in (1, 256) for peer in ("ort", "mnn")}
THREADS = {f"threads_{net}_speedup" for net in ("mobilenet", "squeezenet", "resnet18", "din18_b256", "din64_b256")}
TARGETS = {
    "din": DIN | {"din_vs_rewritten_ort"},
    "images": {
        *(f"{net}_vs_best" for net in ("resnet18", "squeezenet", "mobilenet")),
        "resnet18_create_seconds",
        "resnet18_create_onnx_seconds",
    },
    "threads": set(),
}


@pytest.mark.slow
@pytest.mark.needs("onnx", "onnxruntime", "MNN", "ncnn")
@pytest.mark.parametrize("family", TARGETS)
def test_every_target_has_its_figure(family: str, tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    command = [sys.executable, "benchmarks/inference_vs_peers.py", "--only", family, "--rounds", "1", "--json", file]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)  # noqa: S603
    assert done.returncode == 0, done.stderr
    checks = {check["name"]: check for check in json.loads(file.read_text())["checks"]}
    with_floor = {name for name, check in checks.items() if check["floor"] is not None}
    assert {name for name in with_floor if not name.endswith("_difference")} == TARGETS[family]
    assert {name for name in checks if name.endswith("_speedup")} == (THREADS if family == "threads" else set())
    assert all(check["value"] >= 0 for check in checks.values())
