"""The curves of an audit as inline SVG. Needs matplotlib; nothing is computed here."""

from __future__ import annotations

from collections.abc import Callable
from math import nan
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.ticker import FuncFormatter, NullFormatter, PercentFormatter

from securefl.report import numbers
from securefl.report.plots import COLOURS, STYLE, on_line, over, svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from securefl.audit import Curve

__all__ = ["drawn"]

LINES = (("accent", "-"), ("warn", "-"), ("down", "-"))
"""Colour and style of a plot's first, second and third line; the page's keys have the same."""


def drawn(curves: dict[str, Curve]) -> dict[str, str]:
    """SVG by the name of its curve."""
    with mpl.rc_context(STYLE):
        return {name: DRAW[name](curve) for name, curve in curves.items() if name in DRAW}


def _epsilon_rounds(curve: Curve) -> str:
    figure, axes = over("rounds")
    ceiling = curve.y["ever"][0] or 0.0
    axes.plot(curve.x, _gaps(curve.y["drawn anew"]), color=COLOURS["warn"], linewidth=1.4, linestyle="--")
    axes.axhline(ceiling, color=COLOURS["muted"], linewidth=1, linestyle=":")
    axes.plot(curve.x, _gaps(curve.y["memoised"]), color=COLOURS["accent"], linewidth=2.2)
    axes.set_ylim(0, ceiling * 2.2)
    on_line(axes, f"never above {ceiling:.2f}", ceiling, COLOURS["ink"])
    _mark(axes, curve, "planned")
    axes.set_ylabel("ε of an index")
    spoken = (
        f"{int(x)} rounds {y:.2f}"
        for x, y in zip(curve.x, _gaps(curve.y["memoised"]), strict=True)
        if x in _ends(curve)
    )
    return svg(figure, f"Epsilon of an index over rounds: {'; '.join(spoken)}; ever {ceiling:.2f}")


def _delta_epsilon(curve: Curve) -> str:
    figure, axes = over("ε")
    axes.set_yscale("log")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(which="both", left=False)
    axes.set_ylim(min(1e-3, *(y / 2 for values in curve.y.values() for y in values if y)), 1)
    for (colour, style), values in zip(LINES, curve.y.values(), strict=False):
        axes.plot(curve.x, _gaps(values), color=COLOURS[colour], linestyle=style, linewidth=2.2)
    axes.set_ylabel("δ")
    axes.set_xlim(0)
    spoken = (f"{name} {values[0]:.3g} at epsilon 0" for name, values in curve.y.items() if values[0] is not None)
    return svg(figure, f"Delta over epsilon: {'; '.join(spoken)}")


def _row_anonymity(curve: Curve) -> str:
    figure, axes = over("clients that hold the index")
    for (colour, style), values in zip(LINES, curve.y.values(), strict=False):
        axes.plot(curve.x, _gaps(values), color=COLOURS[colour], linestyle=style, linewidth=2.2)
    axes.set_ylim(0, 1.04)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    spoken = (f"{name} {numbers.share(values[0])}" for name, values in curve.y.items() if values[0] is not None)
    return svg(figure, f"Anonymity of a row with one holder: {'; '.join(spoken)}")


def _degree_threshold(curve: Curve) -> str:
    figure, axes = over("neighbours of a client, k")
    low, high = (_gaps(curve.y[name]) for name in ("held off from", "opens up to"))
    both = [a <= b for a, b in zip(low, high, strict=True)]
    axes.fill_between(curve.x, low, high, where=both, color=COLOURS["accent"], alpha=0.22, linewidth=0)
    axes.plot(curve.x, low, color=COLOURS["warn"], linewidth=1.8)
    axes.plot(curve.x, high, color=COLOURS["down"], linewidth=1.8)
    axes.set_ylabel("threshold, t")
    axes.set_ylim(0)
    _mark(axes, curve, "configured")
    (x, y), known = curve.marks["configured"], sum(both)
    return svg(
        figure, f"Safe degrees and thresholds: configured {x:.0f} and {y:.0f}; {known} of {len(both)} degrees have one"
    )


def _bytes_privacy(curve: Curve) -> str:
    figure, axes = over("ε of an index, ever")
    axes.plot(curve.x, _gaps(curve.y["bytes"]), color=COLOURS["accent"], linewidth=2.2, marker="o", markersize=4)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: numbers.size(value)))
    axes.set_ylim(0, 1.15 * max(_gaps(curve.y["bytes"])))
    _mark(axes, curve, "configured")
    pairs = zip(curve.x, _gaps(curve.y["bytes"]), strict=True)
    return svg(
        figure, "Bytes of a client and round: " + "; ".join(f"epsilon {x:.2f} {numbers.size(y)}" for x, y in pairs)
    )


def _attacker(curve: Curve) -> str:
    figure, axes = over("ε of an index in ten rounds")
    for (colour, style), values in zip((("muted", ":"), *LINES), curve.y.values(), strict=False):
        axes.plot(
            curve.x, _gaps(values), color=COLOURS[colour], linestyle=style, linewidth=2.2, marker="o", markersize=4
        )
    axes.set_ylim(0.5, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    spoken = (f"{name} {', '.join(f'{y:.3f}' for y in _gaps(values))}" for name, values in curve.y.items())
    return svg(figure, f"Right guesses of a server: {'; '.join(spoken)}")


def _gaps(values: tuple[float | None, ...]) -> list[float]:
    """None as the gap in a line."""
    return [nan if value is None else value for value in values]


def _ends(curve: Curve) -> tuple[float, float]:
    return curve.x[0], curve.x[-1]


def _mark(axes: Axes, curve: Curve, name: str) -> None:
    """A ring around a named point, with its name."""
    if name in curve.marks:
        x, y = curve.marks[name]
        axes.plot([x], [y], color=COLOURS["ink"], marker="o", markersize=9, fillstyle="none", markeredgewidth=1.6)
        right = x > 0.7 * axes.get_xlim()[1]
        offset, side = ((-9, -16), "right") if right else ((9, 9), "left")
        axes.annotate(name, (x, y), xytext=offset, textcoords="offset points", ha=side, color=COLOURS["ink"])


DRAW: dict[str, Callable[[Curve], str]] = {
    "epsilon_rounds": _epsilon_rounds,
    "delta_epsilon": _delta_epsilon,
    "row_anonymity": _row_anonymity,
    "degree_threshold": _degree_threshold,
    "bytes_privacy": _bytes_privacy,
    "attacker": _attacker,
}
"""How each curve of an audit is drawn."""
