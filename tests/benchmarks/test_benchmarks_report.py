"""The format of figures: targets, verdicts and the file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module `benchmarks/report.py`, which scripts beside it import by that name."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    monkeypatch.delitem(sys.modules, "report", raising=False)
    import report

    return report


@pytest.mark.parametrize(
    ("value", "direction", "verdict"),
    [(36, ">=", "goal"), (30, ">=", "floor"), (29.9, ">=", "MISSED"), (30, "<=", "floor"), (30.1, "<=", "MISSED")],
)
def test_verdict(report: Any, value: float, direction: str, verdict: str) -> None:
    goal = 35 if direction == ">=" else 25
    assert report.Check("a", value, "x", 30, goal, direction).verdict == verdict


def test_a_figure_without_target_has_no_verdict(report: Any) -> None:
    assert report.Check("a", 1, "ms").verdict == ""


def test_file_and_table(report: Any, tmp_path: Path) -> None:
    made = report.Report(["/somewhere/this.py", "--dim", "a b"], ["numpy"])
    made.checks.append(report.Check("speed_ratio", 2.0, "x", 1.5, 3))
    made.notes.append("a reason")
    made.write(tmp_path / "file.json")
    content = json.loads((tmp_path / "file.json").read_text())
    expected = {"name": "speed_ratio", "value": 2.0, "unit": "x", "floor": 1.5, "goal": 3, "direction": ">="}
    assert content["checks"] == [expected]
    assert content["command"] == "python benchmarks/this.py --dim 'a b'"
    assert set(content["versions"]) == {"python", "numpy"}
    assert all(len(content["load"][when]) == 3 for when in ("before", "after"))
    assert content["machine"]["cores"] > 0
    assert made.table() == "speed_ratio  2 x  floor >= 1.5, goal 3  floor\nnote: a reason"
