"""The C core beside its peers: every kernel that has a target, each ratio from one run in which the sides take turns.

    python benchmarks/core.py --json core.json

A ratio is the peer's time over ours; the definitions stand in the modules of `core/`. One thread.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from core import hashing, masks
from report import Report

FAMILIES: dict[str, Callable[[Report, int], None]] = {
    "hashing": hashing.measure,
    "masks": masks.measure,
}
"""A family adds its checks and notes to the report, from that many rounds."""
PACKAGES = ["securefl", "numpy", "cryptography", "mmh3"]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=FAMILIES, action="append", help="this family alone; may be repeated")
    parser.add_argument("--rounds", type=int, default=41, metavar="R", help="turns of each side (41)")
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
