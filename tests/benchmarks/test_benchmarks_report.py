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


CPU = """processor\t: 0
cpu family\t: 26
model\t\t: 2
model name\t: AMD EPYC
stepping\t: 1
flags\t\t: fpu aes vaes avx2 avx512f avx512_bf16

processor\t: 1
cpu family\t: 99
"""


def test_a_processor_is_told_by_its_numbers(report: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of a rented one is often no more than the brand."""
    monkeypatch.setattr(report.Path, "exists", lambda _: True)
    monkeypatch.setattr(report.Path, "read_text", lambda _: CPU)
    told = report.machine()
    assert (told["cpu"], told["family"], told["model"], told["stepping"]) == ("AMD EPYC", 26, 2, 1)
    assert told["instructions"] == ["aes", "vaes", "avx2", "avx512f", "avx512_bf16"]


def test_a_machine_without_such_a_file_has_a_name(report: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report.Path, "exists", lambda _: False)
    assert report.machine()["cpu"]
    assert "family" not in report.machine()


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
