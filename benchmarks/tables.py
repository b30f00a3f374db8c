"""Writes the values of docs/performance/NAME.json into the tables of docs/performance.md.

    python benchmarks/tables.py inference

A row of a table belongs to the file if its first cell is the name of one of its checks; its third cell is the value.
"""

from __future__ import annotations

import argparse
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
ROW = re.compile(r"^(\| `(\w+)` \|[^|]*\|)[^|]*\|", re.MULTILINE)


def values(name: str) -> dict[str, float]:
    """The checks of a file of figures."""
    checks = json.loads((DOCS / "performance" / f"{name}.json").read_text())["checks"]
    return {check["name"]: check["value"] for check in checks}


def updated(page: str, figures: Mapping[str, float]) -> str:
    """The page with these values in their rows."""

    def row(match: re.Match[str]) -> str:
        known = match[2] in figures
        return f"{match[1]} {in_digits(figures[match[2]])} |" if known else match[0]

    return ROW.sub(row, page)


def in_digits(value: float) -> str:
    """Three digits that count."""
    if value == 0:
        return "0"
    return f"{value:,.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def main() -> None:
    """Rewrite the page in place."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="+", help="file of figures, without .json")
    page = DOCS / "performance.md"
    for name in parser.parse_args().name:
        page.write_text(updated(page.read_text(), values(name)))


if __name__ == "__main__":
    main()
