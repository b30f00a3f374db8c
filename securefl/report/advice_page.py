"""Advice as one self-contained HTML page: the proposal, the curves of the trade-off, and the file to use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from securefl import __version__
from securefl.report import advice_table
from securefl.report.page import environment

if TYPE_CHECKING:
    from securefl.audit.adviser import Advice

__all__ = ["render_advice"]


def render_advice(advice: Advice) -> str:
    """The page. Equal advice gives equal pages. Needs matplotlib (see ``require_plots``)."""
    from securefl.report.advice_plots import drawn  # matplotlib takes 0.7 s to import: only for a page

    return (
        environment()
        .get_template("advice.html.j2")
        .render(
            advice=advice,
            version=__version__,
            headline=advice_table.headline(advice),
            proposal=advice_table.proposal(advice),
            columns=advice_table.COLUMNS,
            choices=[(offer is advice.proposed, advice_table.cells(offer)) for offer in advice.others],
            plots={name: Markup(drawing) for name, drawing in drawn(advice).items()},  # noqa: S704 (our own SVG)
        )
    )
