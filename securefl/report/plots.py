"""Plots as inline SVG that takes its colours and its font from the page, so that one drawing reads in light and dark.

Needs matplotlib. A colour is drawn as a placeholder and replaced by a CSS variable; text stays text.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from securefl.report import numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["COLOURS", "STYLE", "bars", "paired_bars", "line", "bounded_line", "over", "on_line", "svg"]

COLOURS = {
    name: f"#0{index}0{index}0{index}"
    for index, name in enumerate(("ink", "muted", "rule", "up", "down", "accent", "warn", "ground"), start=1)
}
STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 10,
    "svg.fonttype": "none",
    "axes.edgecolor": COLOURS["rule"],
    "axes.labelcolor": COLOURS["muted"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": COLOURS["ink"],
    "xtick.color": COLOURS["muted"],
    "ytick.color": COLOURS["muted"],
    "grid.color": COLOURS["rule"],
    "grid.linewidth": 0.6,
}
WIDTH, ROW = 4.7, 0.46
"""Inches, 72 points each: drawn at about the size it has on a phone."""


def bars(names: Sequence[str], values: Sequence[float], texts: Sequence[str], *, label: str) -> str:
    """One horizontal bar a name, with its text at the end; ``label`` is read out to those who cannot see it."""
    with mpl.rc_context(STYLE):
        figure, axes = _horizontal(names)
        axes.barh(range(len(names)), values, height=0.55, color=COLOURS["accent"])
        for row, (value, text) in enumerate(zip(values, texts, strict=True)):
            _at_end(axes, value, row, text)
        _room_for_texts(axes, values)
        return svg(figure, label)


def paired_bars(names: Sequence[str], up: Sequence[float], down: Sequence[float], *, label: str) -> str:
    """Two bars a name, bytes up over bytes down."""
    with mpl.rc_context(STYLE):
        figure, axes = _horizontal(names)
        for offset, values, colour in ((-0.19, up, "up"), (0.19, down, "down")):
            axes.barh([row + offset for row in range(len(names))], values, height=0.32, color=COLOURS[colour])
            for row, value in enumerate(values):
                _at_end(axes, value, row + offset, numbers.size(value))
        _room_for_texts(axes, [*up, *down])
        return svg(figure, label)


def line(values: Sequence[float | None], *, first: int, label: str, guess: float) -> str:
    """Values over rounds ``first``, ``first + 1``, ...; None is left out. A dotted line marks guessing."""
    points = [(first + index, value) for index, value in enumerate(values) if value is not None]
    with mpl.rc_context(STYLE):
        figure, axes = over("round")
        axes.axhline(guess, color=COLOURS["muted"], linewidth=1, linestyle=":")
        on_line(axes, "guessing", guess, COLOURS["muted"])
        axes.plot(*zip(*points, strict=True), color=COLOURS["accent"], linewidth=2.2, marker="o", markersize=5)
        for (x, y), offset, ha in ((points[0], (0, -15), "center"), (points[-1], (8, -3.5), "left")):
            axes.annotate(f"{y:.3f}", (x, y), xytext=offset, textcoords="offset points", ha=ha)
        axes.margins(x=0.12, y=0.3)
        return svg(figure, label)


def bounded_line(values: Sequence[float], ceiling: float, unbounded: Sequence[float], *, label: str) -> str:
    """Epsilon over rounds 1, 2, ...: what is lost, the ceiling it never passes, and what it would be without a memo."""
    rounds = range(1, len(values) + 1)
    with mpl.rc_context(STYLE):
        figure, axes = over("round")
        axes.plot(rounds, unbounded, color=COLOURS["warn"], linewidth=1.4, linestyle="--")
        axes.axhline(ceiling, color=COLOURS["muted"], linewidth=1, linestyle=":")
        axes.plot(rounds, values, color=COLOURS["accent"], linewidth=2.2)
        axes.set_ylim(0, ceiling * 2.2)
        on_line(axes, f"never above {ceiling:.2f}", ceiling, COLOURS["ink"])
        axes.annotate(
            "with answers drawn anew each round",
            (0.99, 0.96),
            xycoords="axes fraction",
            ha="right",
            va="top",
            color=COLOURS["warn"],
        )
        return svg(figure, label)


def _horizontal(names: Sequence[str]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH, 0.2 + ROW * len(names)), layout="constrained")
    axes = figure.subplots()
    axes.set_yticks(range(len(names)), names, color=COLOURS["ink"])
    axes.invert_yaxis()
    axes.tick_params(left=False, bottom=False, labelbottom=False)
    axes.spines["bottom"].set_visible(False)
    return figure, axes


def _at_end(axes: Axes, value: float, row: float, text: str) -> None:
    axes.annotate(
        text, (value, row), xytext=(4, 0), textcoords="offset points", va="center", fontsize=9, color=COLOURS["muted"]
    )


def _room_for_texts(axes: Axes, values: Sequence[float]) -> None:
    axes.set_xlim(0, 1.28 * (max(values) or 1))


def over(name: str) -> tuple[Figure, Axes]:
    """Empty axes above something counted, such as rounds."""
    figure = Figure(figsize=(WIDTH, 2.5), layout="constrained")
    axes = figure.subplots()
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    axes.tick_params(left=False, bottom=False)
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    axes.set_xlabel(name)
    return figure, axes


def on_line(axes: Axes, text: str, height: float, colour: str) -> None:
    """Text at the right end of a horizontal line."""
    axes.annotate(
        text,
        (1, height),
        xycoords=("axes fraction", "data"),
        xytext=(0, 4),
        textcoords="offset points",
        ha="right",
        color=colour,
    )


def svg(figure: Figure, label: str) -> str:
    """The drawing alone: no XML prologue, no metadata, no fixed size, colours and font left to the page."""
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": label}):  # names of clip paths: the same each time, another in each plot
        figure.savefig(buffer, format="svg", transparent=True)
    markup = buffer.getvalue()
    markup = markup[markup.index("<svg") :]
    markup = re.sub(r"<(metadata|style)\b.*?</\1>", "", markup, flags=re.DOTALL)
    markup = re.sub(r'<g id="[^"]*"', "<g", markup)  # names of groups repeat from plot to plot
    view = re.search(r'viewBox="[^"]*"', markup)
    if view is None:
        raise ValueError("an SVG without a viewBox cannot be scaled")
    opening = f'<svg role="img" aria-label="{escape(label)}" {view[0]}>'
    markup = opening + markup[markup.index(">") + 1 :]
    markup = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font: \1px var(--sans)", markup)
    for name, colour in COLOURS.items():
        markup = markup.replace(colour, f"var(--{name})")
    return markup
