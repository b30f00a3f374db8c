"""An audit as one self-contained HTML page: the verdict on top, findings as cards, curves, formulas and settings."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from markupsafe import Markup

from securefl import __version__
from securefl.report import audit_table
from securefl.report.page import environment

if TYPE_CHECKING:
    from securefl.audit import Audit

__all__ = ["render_audit"]

TITLES = {"pass": "Passes", "warn": "Passes, with warnings", "fail": "Fails"}
TONES = {"pass": "good", "warn": "warn", "fail": "bad"}


def render_audit(audit: Audit) -> str:
    """The page. Equal audits give equal pages. Needs matplotlib (see ``require_plots``)."""
    from securefl.report.audit_plots import drawn  # matplotlib takes 0.7 s to import: only for a page

    worst_first = sorted(audit.findings, key=lambda finding: list(TITLES).index(finding.verdict), reverse=True)
    return (
        environment()
        .get_template("audit.html.j2")
        .render(
            audit=audit,
            version=__version__,
            infinity=inf,
            title=TITLES[audit.verdict],
            tone=TONES[audit.verdict],
            tones=TONES,
            summary=audit_table.summary(audit),
            findings=worst_first,
            ran=any(finding.id == "spent" for finding in audit.findings),
            plots={name: Markup(drawing) for name, drawing in drawn(audit.curves).items()},  # noqa: S704 (our own SVG)
        )
    )
