"""The plan of the house: imports run down only, files stay short, examples stay short and run."""

# ruff: noqa: S603 -- the programs started are this repository's own and lint-imports

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("native", "bloom", "dp", "psu", "securefl")
SOURCES = (".py", ".c", ".h", ".html", ".css", ".js", ".toml")
MAX_LINES = 400
MAX_EXAMPLE_LINES = 40
EXAMPLES = [
    pytest.param(path, marks=[pytest.mark.needs("torch")] if "torch" in path.stem else [], id=path.stem)
    for path in sorted((ROOT / "examples").glob("*.py"))
]


def test_import_rules_hold() -> None:
    lint_imports = Path(sysconfig.get_path("scripts")) / "lint-imports"
    done = subprocess.run(
        [lint_imports, "--no-cache", "--no-logo"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def line_count(path: Path) -> int:
    return len(path.read_text().splitlines())


@pytest.mark.parametrize("package", PACKAGES)
def test_no_file_is_too_long(package: str) -> None:
    lengths = {
        str(path.relative_to(ROOT)): line_count(path) for path in (ROOT / package).rglob("*") if path.suffix in SOURCES
    }
    assert lengths, "an empty package"
    assert not {name: lines for name, lines in lengths.items() if lines > MAX_LINES}


@pytest.mark.parametrize("example", EXAMPLES)
def test_example_is_short_and_runs(example: Path, tmp_path: Path) -> None:
    assert line_count(example) < MAX_EXAMPLE_LINES
    command = [sys.executable, "-W", "error", example]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
