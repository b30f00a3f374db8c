"""The one format for figures: what was measured, on which machine, under which load, against which target.

Every script here prints a table and, with `--json FILE`, writes a `Report`. Plots and tables of the docs are drawn from
those files.
"""

from __future__ import annotations

import json
import os
import platform
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import native

INSTRUCTIONS = ("aes", "vaes", "avx2", "avx512f", "avx512ifma", "avx512_vbmi2", "avx512_bf16", "avx512_vp2intersect")
"""Those that decide how fast a kernel can be, and those that tell generations of one family name apart."""
NUMBERS = {"cpu family": "family", "model": "model", "stepping": "stepping"}
"""Of the processor (CPUID leaf 1): a cloud machine's name is often no more than the brand."""


@dataclass(frozen=True, slots=True)
class Check:
    """One figure. `floor` must hold, `goal` is what we are after; None: no target for this figure or at this size."""

    name: str
    value: float
    unit: str
    floor: float | None = None
    goal: float | None = None
    direction: Literal[">=", "<="] = ">="

    @property
    def verdict(self) -> str:
        """Which of its targets the value reaches, in a word."""
        if self.floor is None:
            return ""
        if self.goal is not None and self._reaches(self.goal):
            return "goal"
        return "floor" if self._reaches(self.floor) else "MISSED"

    def _reaches(self, target: float) -> bool:
        return self.value >= target if self.direction == ">=" else self.value <= target


@dataclass
class Report:
    """Figures of one run. `load` is taken when the report is made and when it is written: make it first."""

    arguments: Sequence[str]
    """sys.argv"""
    packages: Sequence[str]
    """Distributions whose versions matter, besides Python."""
    checks: list[Check] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What must be said beside the figures, and why one is missing."""
    load: dict[str, list[float]] = field(default_factory=lambda: {"before": _load()})

    def table(self) -> str:
        """The checks, aligned, and the notes below them."""
        rows = [(c.name, f"{c.value:.4g} {c.unit}", _target(c), c.verdict) for c in self.checks]
        widths = [max(map(len, column), default=0) for column in zip(*rows, strict=True)]
        lines = ["  ".join(f"{cell:{w}}" for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def write(self, path: Path) -> None:
        """As JSON."""
        content = {
            "machine": machine(),
            "load": self.load | {"after": _load()},
            "versions": {"python": platform.python_version()} | {name: version(name) for name in self.packages},
            "command": shlex.join(["python", _script(self.arguments[0]), *self.arguments[1:]]),
            "checks": [asdict(check) for check in self.checks],
            "notes": self.notes,
        }
        path.write_text(json.dumps(content, indent=1) + "\n")


def machine() -> dict[str, Any]:
    """What of this machine decides the figures."""
    described = _cpu()
    flags = described.get("flags", "").split()
    return {
        "cpu": described.get("model name", platform.machine()),
        **{name: int(described[key]) for key, name in NUMBERS.items() if key in described},
        "instructions": [name for name in INSTRUCTIONS if name in flags],
        "cores": os.cpu_count(),
        "system": platform.system(),
        "mask_backend": native.backends()[0],
    }


def _script(path: str) -> str:
    """From the root of the repository."""
    here, script = Path(__file__).resolve().parent, Path(path).resolve()
    inside = script.relative_to(here) if script.is_relative_to(here) else Path(script.name)
    return f"benchmarks/{inside.as_posix()}"


def _target(check: Check) -> str:
    if check.floor is None:
        return ""
    goal = "" if check.goal is None else f", goal {check.goal:g}"
    return f"floor {check.direction} {check.floor:g}{goal}"


def _cpu() -> dict[str, str]:
    """The first processor of /proc/cpuinfo; empty where there is none."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().split("\n\n")[0].splitlines() if path.exists() else []
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}


def _load() -> list[float]:
    """Mean number of runnable processes over 1, 5 and 15 minutes."""
    return [round(mean, 2) for mean in os.getloadavg()]
