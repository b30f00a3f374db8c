"""Writes the known-answer vectors, or with --check compares them with the committed files, byte by byte.

    python tests/vectors/generate.py [--check]

Everything is computed by the slow reference beside this file, from names instead of random numbers. One value cannot be
made twice: the hybrid box, whose ML-KEM randomness is the library's. It is kept for as long as it opens.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from cases import frames, masks, refusals, rounds, sessions, setup, shamir, transcript
from cases.plain import plain

HERE = Path(__file__).parent
FLAT = re.compile(r"\[\s+([^][{}]*?)\s+\]")
"""A list of plain values: it goes on one line."""


def vectors() -> dict[str, dict[str, Any]]:
    """What belongs into each file."""
    return {
        "transcript.json": transcript.vectors(),
        "frames.json": frames.vectors(),
        "shamir.json": shamir.vectors(),
        "setup.json": setup.vectors(committed("setup.json")),
        "masks.json": masks.vectors(),
        "rounds.json": rounds.vectors(),
        "session_plain.json": sessions.plain_vectors(),
        "session_round.json": sessions.round_vectors(),
        "refusals.json": refusals.vectors(),
    }


def committed(name: str) -> Any:
    return json.loads((HERE / name).read_text()) if (HERE / name).exists() else None


def text(content: dict[str, Any]) -> str:
    spread = json.dumps(plain(content), indent=1, ensure_ascii=False)
    return FLAT.sub(lambda found: "[" + re.sub(r"\s*\n\s*", " ", found[1]) + "]", spread) + "\n"


def stale(files: dict[str, str]) -> list[str]:
    """Files that are not as they would be written, or should not be there."""
    found = {path.name: path.read_text() for path in HERE.glob("*.json")}
    return sorted(name for name in files.keys() | found.keys() if files.get(name) != found.get(name))


def main(arguments: list[str]) -> str | None:
    if arguments not in ([], ["--check"]):
        return __doc__
    files = {name: text(content) for name, content in vectors().items()}
    if arguments:
        wrong = stale(files)
        return f"not as generated: {', '.join(wrong)}" if wrong else None
    for name, content in files.items():
        (HERE / name).write_text(content)
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
