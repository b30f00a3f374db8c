"""The curves of runs as inline SVG. Needs matplotlib; nothing is computed here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.ticker import FuncFormatter

from securefl.report.plots import COLOURS, STYLE, on_line, over, svg

if TYPE_CHECKING:
    from securefl.report.curves import Curve

__all__ = ["STROKES", "drawn"]

HUES, STYLES = ("accent", "warn", "down", "ink"), ("-", "--", ":")
STROKES = tuple((HUES[index % len(HUES)], STYLES[index % len(STYLES)]) for index in range(len(HUES) * len(STYLES)))
"""Colour and style of the first, second, ... line, so that equal ones show both; the page has the same keys."""
DOTS = 30
"""Up to so many points of a line are marked one by one."""


def drawn(curve: Curve) -> str:
    """One picture."""
    with mpl.rc_context(STYLE):
        figure, axes = over("round")
        for line, (colour, style) in zip(curve.lines, STROKES, strict=False):
            marker = "o" if len(line.points) <= DOTS else ""
            if line.points:
                xs, ys = zip(*line.points, strict=True)
                axes.plot(xs, ys, color=COLOURS[colour], linestyle=style, linewidth=1.8, marker=marker, markersize=4)
        if curve.reference is not None:
            name, height = curve.reference
            axes.axhline(height, color=COLOURS["muted"], linewidth=1, linestyle=":")
            on_line(axes, name, height, COLOURS["muted"])
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: curve.text(value)))
        axes.margins(y=0.15)
        if curve.from_zero:
            axes.set_ylim(0)
        return svg(figure, curve.spoken)
