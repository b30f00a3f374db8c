"""Commands in a network of their own, which is loopback alone, with every Python process watched: see `witness`."""

# ruff: noqa: S603 -- the programs started are this repository's own

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
LOOPBACK = ("127.0.0.1", "::1", "localhost", None)


def watched(notes: Path, *folders: Path, **settings: str) -> dict[str, str]:
    """An environment in which every Python process writes its connections and look-ups down. `folders`: of modules."""
    path = os.pathsep.join(filter(None, [str(HERE / "witness"), *map(str, folders), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, "WITNESS": str(notes), **settings}


def alone(unshared: list[str], *command: Any, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """A command of Python where there is no network but loopback."""
    whole = [*unshared, sys.executable, HERE / "loopback.py", sys.executable, *command]
    return subprocess.run(whole, capture_output=True, text=True, check=False, timeout=1500, env=environment)


def noted(notes: Path) -> tuple[Counter[str], set[Any]]:
    """How many processes each program had, and who was connected to or looked up that is not this machine."""
    lines = [json.loads(line) for line in notes.read_text().splitlines()]
    programs = Counter(line["program"] for line in lines if line["event"] == "started")
    targets = [line["what"] for line in lines if line["event"] != "started"]
    peers = [target[0] if isinstance(target, list) else target for target in targets]  # a name of AF_UNIX is a path
    return programs, {peer for peer in peers if peer not in LOOPBACK and not str(peer).startswith("/")}
