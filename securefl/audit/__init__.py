"""What parameters really protect: typed findings, each with its number, its bound, its source and what to change."""

from __future__ import annotations

from securefl.audit.auditing import audit
from securefl.audit.findings import EXIT_CODES, Audit, Curve, Figure, Finding
from securefl.audit.formulas import FORMULAS, Formula

__all__ = ["audit", "Audit", "Finding", "Figure", "Curve", "FORMULAS", "Formula", "EXIT_CODES"]
