"""The C core beside its peers: every kernel that has a target, each ratio from one run in which the sides take turns.

    python benchmarks/core.py --json core.json

A ratio is the peer's time over ours; the definitions stand in the modules of `core/`. One thread.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from core import hashing, masks, moduli, shamir, words
from report import Report

FAMILIES = {"hashing": hashing, "masks": masks, "moduli": moduli, "shamir": shamir, "words": words}
"""A family's `measure` adds its checks and notes to the report, from that many rounds; `PEERS` are distributions."""
PACKAGES = ["securefl", "numpy"]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=FAMILIES, action="append", help="this family alone; may be repeated")
    parser.add_argument("--rounds", type=int, default=41, metavar="R", help="turns of each side (41)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    asked = parser.parse_args()
    families = [FAMILIES[name] for name in asked.only or FAMILIES]
    report = Report(sys.argv, [*PACKAGES, *(peer for family in families for peer in family.PEERS)])
    for family in families:
        family.measure(report, asked.rounds)
    print(report.table())
    if asked.json:
        report.write(asked.json)


if __name__ == "__main__":
    main()
