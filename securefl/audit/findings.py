"""What an audit says: figures that know their bound and formula, findings with a verdict, and all of them together."""

from __future__ import annotations

from math import inf, isnan
from typing import Literal

import msgspec

from dp import Bound
from securefl.audit.formulas import FORMULAS

__all__ = ["Verdict", "Kind", "Figure", "Finding", "Curve", "Audit", "EXIT_CODES", "worst"]

Verdict = Literal["pass", "warn", "fail"]
EXIT_CODES: dict[Verdict, int] = {"pass": 0, "warn": 4, "fail": 5}

Kind = Literal["exact", "upper", "lower", "estimate"]
"""Of a figure: the true value, one that is not below it, one that is not above it, or a mean over drawn cohorts."""


class Figure(msgspec.Struct, frozen=True):
    """One number. Never NaN, never negative; infinity names the event that shows it."""

    name: str
    value: float
    unit: str
    """nats, probability, share, clients, shares, rows, bits, bytes, ... ; empty for a ratio."""
    kind: Kind
    formula: str
    """Id in `FORMULAS`."""
    witness: str | None = None
    """The event that attains the value."""

    def __post_init__(self) -> None:
        if isnan(self.value) or self.value < 0:
            raise ValueError(f"{self.name}: {self.value} is no figure of an audit")
        if self.value == inf and not self.witness:
            raise ValueError(f"{self.name}: infinity without a witness")
        if self.formula not in FORMULAS:
            raise ValueError(f"{self.name}: {self.formula!r} is no formula")

    @classmethod
    def of(cls, name: str, bound: Bound, witness: str | None = None) -> Figure:
        """An epsilon of `dp`, which brings its bound and its formula."""
        return cls(name, float(bound), "nats", bound.kind, bound.formula, witness)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One check: what was found, how bad it is, and what to change."""

    id: str
    title: str
    verdict: Verdict
    value: Figure
    """The number that the verdict rests on."""
    says: str
    """One or two sentences for people."""
    change: tuple[str, ...] = ()
    """What to change, the best first; empty if nothing needs to."""
    figures: tuple[Figure, ...] = ()
    """Further numbers."""
    accepted: bool = False
    """A warning that its reader knows of: told as ever, and left out of the verdict."""

    @property
    def all_figures(self) -> tuple[Figure, ...]:
        """The value, then the others."""
        return (self.value, *self.figures)


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """Points to draw: `y[name]` over `x`, never NaN; a y that is None is left out."""

    x: tuple[float, ...]
    y: dict[str, tuple[float | None, ...]]
    marks: dict[str, tuple[float, float]] = {}
    """Points to name, such as what is configured."""

    def __post_init__(self) -> None:
        for values in (self.x, *self.y.values(), *self.marks.values()):
            if any(value is not None and isnan(value) for value in values):
                raise ValueError("NaN is no point of a curve")


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """A whole audit. `report.to_json` writes it, `read_audit` reads it back."""

    headline: str
    """The first line, for people."""
    verdict: Verdict
    findings: tuple[Finding, ...]
    rounds: int
    """Planned rounds."""
    population: dict[str, int | float | str]
    settings: dict[str, dict[str, object]]
    """The configuration that was audited, in full."""
    curves: dict[str, Curve]
    formulas: dict[str, tuple[str, str]]
    """Of every formula used: what is computed, and its source."""
    certificate: str
    """JSON that `examples/check_certificate.py` checks without this library."""
    version: str

    def finding(self, name: str) -> Finding:
        """The finding with that id. Raises KeyError."""
        return {finding.id: finding for finding in self.findings}[name]

    @property
    def exit_code(self) -> int:
        """0 pass, 4 warn, 5 fail."""
        return EXIT_CODES[self.verdict]


def worst(findings: tuple[Finding, ...]) -> Verdict:
    """The verdict of all of them: the worst one that nobody accepted."""
    verdicts = [finding.verdict for finding in findings if not finding.accepted]
    return max(verdicts, key=lambda verdict: EXIT_CODES[verdict], default="pass")
