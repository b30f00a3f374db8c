"""A server that guesses who holds what, on real clicks: from claims, and from claims and totals, beside the bound.

    python benchmarks/attacker.py --data ../shared/data/amazon-electronics/amazon_train.npz --json attacker.json

The game, and what the server knows, stand in `securefl/audit/attacker.py`. A rate is the mean of how often a held index
and one that is not held are guessed right: 0.5 is a coin. Cohorts are drawn the same each time.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from report import Check, Report

import dp
from securefl.audit.attacker import RESPONSES, Guesses, guesses
from securefl.datasets import load_click_log


def main() -> None:
    """Play, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="FILE", help="a click log, .csv or .npz")
    parser.add_argument("--clients", type=int, default=100, metavar="N", help="clients of a cohort (100)")
    parser.add_argument("--floor", type=int, default=10, metavar="F", help="row floor, m + c (10)")
    parser.add_argument("--rounds", type=int, default=10, metavar="R", help="rounds watched (10)")
    parser.add_argument("--cohorts", type=int, default=5, metavar="C", help="cohorts drawn (5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    asked = parser.parse_args()
    report, log = Report(sys.argv, ["securefl", "numpy"]), load_click_log(asked.data)
    for name in RESPONSES:
        how = dp.TwoStage.parse(name)
        played = guesses(log, asked.clients, asked.floor, how, rounds=asked.rounds, cohorts=asked.cohorts)
        report.checks += checks(name, played)
    report.notes.append(f"{log.name}: {log.users} users, {log.items} items; {asked.rounds} rounds of {asked.clients}")
    print(report.table())
    if asked.json:
        report.write(asked.json)


def checks(name: str, played: Guesses) -> list[Check]:
    """The bound, and both measured rates; claims must keep the bound but for what chance adds."""
    highest = played.bound + played.margin
    return [
        Check(f"bound_{name}", played.bound, "right"),
        Check(f"claims_{name}", played.claims, "right", floor=highest, direction="<="),
        Check(f"totals_{name}", played.totals, "right"),
    ]


if __name__ == "__main__":
    main()
