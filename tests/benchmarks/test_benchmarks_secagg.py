"""The comparison with flwr runs, both sides find the mean, and the file has the one format."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RATIOS = {
    "client_ratio_hybrid",
    "client_ratio_x25519",
    "client_ratio_malicious",
    "server_ratio",
    "upload_ratio_hybrid",
    "upload_ratio_x25519",
}
KEYS = {"name", "value", "unit", "floor", "goal", "direction"}

pytestmark = [pytest.mark.slow, pytest.mark.needs("flwr")]


def compare(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "benchmarks/secagg_vs_flower.py", *options]  # flwr sets process-wide state: keep it out
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)  # noqa: S603


def measured(folder: Path, *options: str) -> dict[str, object]:
    """The file that such a run writes."""
    done = compare("--dim", "100", "--rounds", "1", "--json", str(folder / "figures.json"), *options)
    assert done.returncode == 0, done.stderr
    content: dict[str, object] = json.loads((folder / "figures.json").read_text())
    return content


def values(content: dict[str, object]) -> dict[str, float]:
    return {check["name"]: check["value"] for check in content["checks"]}  # type: ignore[attr-defined]


def test_all_sides_find_the_mean_and_are_compared(tmp_path: Path) -> None:
    content = measured(tmp_path, "--clients", "5", "--dropout", "0.2")
    found = values(content)
    assert set(content) == {"machine", "load", "versions", "command", "checks", "notes"}
    assert all(set(check) == KEYS for check in content["checks"])  # type: ignore[attr-defined]
    assert set(found) >= RATIOS
    assert all(found[f"error_{side}"] < 1 for side in ("flower", "hybrid", "x25519", "malicious"))
    assert found["upload_bytes_flower"] > 8 * 100  # its residues take 8 bytes
    assert "Mersenne Twister" in str(content["notes"])
    assert str(content["command"]).startswith("python benchmarks/secagg_vs_flower.py --dim 100")


def test_a_side_that_cannot_run_is_left_out_with_a_reason(tmp_path: Path) -> None:
    content = measured(tmp_path, "--clients", "7", "--degree", "5", "--threshold", "3", "--dropout", "0")
    assert RATIOS - set(values(content)) == {"client_ratio_malicious"}
    assert "client_ratio_malicious is left out: degree: " in str(content["notes"])


def test_options_that_make_no_case_are_named() -> None:
    done = compare("--clients", "10", "--degree", "6")
    assert done.returncode == 2
    assert "--degree 6: a sparse graph takes an odd number" in done.stderr
