"""The tables of docs/performance.md: written from the files of figures, and not behind them."""

from __future__ import annotations

import json
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


@pytest.mark.parametrize(("name", "rows"), [("inference", 21), ("core", 10), ("union", 5)])
def test_the_page_has_the_figures_of_the_file(tables: Any, name: str, rows: int) -> None:
    page = (ROOT / "docs" / "performance.md").read_text()
    assert tables.updated(page, tables.values(name)) == page
    checks = {check for check in tables.values(name) if f"`{check}`" in page}
    assert len(checks) >= rows


TARGETS = {
    "core": {
        "mask_ratio": (1.8, 1.95, ">="),
        "mask_add_ratio": (2.3, 2.6, ">="),
        "mask_limit_fraction": (0.90, 0.95, ">="),
        "mask_rows_add_ratio": (2.0, 2.4, ">="),
        "shamir_share_ratio": (1000, 2000, ">="),
        "shamir_reconstruct_ratio": (5000, 10_000, ">="),
        "murmur_ratio": (20, 100, ">="),
        "modmul_ratio": (1.3, 3, ">="),
        "modscale_ratio": (1.5, 2.5, ">="),
    },
    "union": {
        "bloom_insert_ratio": (4, 6, ">="),
        "bloom_query_ratio": (5, 8, ">="),
        "bloom_issuperset_ratio": (3, 4, ">="),
        "universe_1e7_seconds": (0.1, 0.05, "<="),
        "taobao_bytes_x25519": (1_000_000, None, "<="),
        "taobao_bytes_hybrid": (1_400_000, None, "<="),
    },
}
"""Floor, goal and direction of each primitive, set before anything was built."""


@pytest.mark.parametrize("name", TARGETS)
def test_no_target_was_moved_and_every_floor_is_held(name: str) -> None:
    file = json.loads((ROOT / "docs" / "performance" / f"{name}.json").read_text())
    checks = {check["name"]: check for check in file["checks"]}
    for target, (floor, goal, direction) in TARGETS[name].items():
        check = checks[target]
        assert (check["floor"], check["goal"], check["direction"]) == (floor, goal, direction)
        assert check["value"] >= floor if direction == ">=" else check["value"] <= floor
