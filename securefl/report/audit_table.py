"""An audit on a terminal: the verdict first, then every finding in a line, then what to change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from securefl.report import numbers

if TYPE_CHECKING:
    from rich.console import RenderableType

    from securefl.audit import Audit, Finding

__all__ = ["audit_table", "summary"]

MARKS = {"pass": ("pass", "green"), "warn": ("warn", "yellow"), "fail": ("FAIL", "bold red")}
WORST_FIRST = ("fail", "warn", "pass")
TITLES = {"pass": "PASS", "warn": "WARN", "fail": "FAIL"}


def audit_table(audit: Audit) -> RenderableType:
    """For a rich console of any width and colour."""
    told = [finding for finding in audit.findings if finding.verdict != "pass" or finding.id == "sampler"]
    return Group(
        Text.assemble((TITLES[audit.verdict], f"bold {MARKS[audit.verdict][1]} reverse"), "  ", audit.headline),
        Text(f"      {summary(audit)}", style="dim"),
        Text(),
        _findings(audit),
        *(_told(finding) for finding in sorted(told, key=lambda finding: WORST_FIRST.index(finding.verdict))),
    )


def summary(audit: Audit) -> str:
    """How many checks fail, warn and pass."""
    counts = {name: sum(finding.verdict == name for finding in audit.findings) for name in MARKS}
    accepted = sum(finding.accepted for finding in audit.findings)
    parts = [f"{counts['fail']} fail", f"{counts['warn']} warn" + (f" ({accepted} accepted)" if accepted else "")]
    planned = f"{audit.rounds} round" + ("s" if audit.rounds != 1 else "")
    return f"{', '.join(parts)}, {counts['pass']} pass; {planned} planned; data: {audit.population['name']}"


def _findings(audit: Audit) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("")
    table.add_column("finding", no_wrap=True)
    table.add_column("rests on")
    for finding in audit.findings:
        text, style = MARKS[finding.verdict]
        value = finding.value
        mark = Text(text, style="dim" if finding.accepted else style)
        table.add_row(mark, finding.id, f"{numbers.measure(value.value, value.unit)}  {value.name}")
    return table


def _told(finding: Finding) -> RenderableType:
    """What a finding says, and what to change; of an attack also what it saw, which its seed repeats."""
    text, style = MARKS[finding.verdict]
    heading = Text.assemble(
        "\n", (text, style), "  ", (finding.title, "bold"), " (accepted)" if finding.accepted else ""
    )
    seen = [Text.assemble(("seen  ", "dim"), finding.value.witness or "")] if finding.id == "sampler" else []
    change = [Text.assemble(("change  ", "dim"), *one) for one in (_keyed(line) for line in finding.change)]
    return Group(heading, Padding(Group(Text(finding.says), *seen, *change), (0, 0, 0, 6)))


def _keyed(line: str) -> tuple[str | tuple[str, str], ...]:
    """A setting's name in bold, if the line starts with one."""
    key, colon, rest = line.partition(": ")
    return ((key, "bold"), colon, rest) if colon and " " not in key else (line,)
