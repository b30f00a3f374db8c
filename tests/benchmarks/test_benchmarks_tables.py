"""The tables of docs/performance.md: written from the files of figures, and not behind them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module `benchmarks/tables.py`."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import tables

    return tables


def test_a_row_gets_its_value_and_nothing_else_changes(tables: Any) -> None:
    page = "| `a` | what | 1 | 2.00 | 3 |\n| `b` | what | 1 |\ntext `a` | 1 |\n"
    wanted = "| `a` | what | 12.3 | 2.00 | 3 |\n| `b` | what | 1 |\ntext `a` | 1 |\n"
    assert tables.updated(page, {"a": 12.345, "c": 1}) == wanted


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (0.01234, "0.0123"), (2, "2.00"), (36.72, "36.7"), (1356.4, "1,356")]
)
def test_three_digits_count(tables: Any, value: float, text: str) -> None:
    assert tables.in_digits(value) == text


@pytest.mark.parametrize("name", ["inference"])
def test_the_page_has_the_figures_of_the_file(tables: Any, name: str) -> None:
    page = (ROOT / "docs" / "performance.md").read_text()
    assert tables.updated(page, tables.values(name)) == page
    checks = {check for check in tables.values(name) if f"`{check}`" in page}
    assert len(checks) > 20
