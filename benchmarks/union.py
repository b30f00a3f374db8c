"""Filters, the test of a universe, and the bytes of a round: what a private union costs.

    python benchmarks/union.py --json union.json

A ratio is the peer's time over ours, from one run in which the sides take turns; the definitions stand in the modules
of `union/`. One thread.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from report import Report
from union import filters, universe, workload

FAMILIES: dict[str, Callable[[Report, int], None]] = {
    "filters": filters.measure,
    "universe": universe.measure,
    "workload": workload.measure,
}
"""A family adds its checks and notes to the report, from that many rounds."""
PACKAGES = ["securefl", "numpy", "rbloom"]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=FAMILIES, action="append", help="this family alone; may be repeated")
    parser.add_argument("--rounds", type=int, default=21, metavar="R", help="turns of each side (21)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    asked = parser.parse_args()
    report = Report(sys.argv, PACKAGES)
    for name in asked.only or FAMILIES:
        FAMILIES[name](report, asked.rounds)
    print(report.table())
    if asked.json:
        report.write(asked.json)


if __name__ == "__main__":
    main()
