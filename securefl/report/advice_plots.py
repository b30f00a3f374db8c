"""The trade-off of an advice as inline SVG: over what claims reveal, what it costs and buys. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.ticker import FuncFormatter

from securefl.report import numbers
from securefl.report.plots import COLOURS, STYLE, over, svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from securefl.audit.adviser import Advice, Offer

__all__ = ["drawn"]


def drawn(advice: Advice) -> dict[str, str]:
    """SVG by name."""
    with mpl.rc_context(STYLE):
        return {
            "bytes": _over_epsilon(advice, "Bytes of a client and round", lambda o: o.traffic.total, numbers.size),
            "guess": _over_epsilon(advice, "Right guesses from one round", lambda o: o.guess_rate, numbers.share),
            "honest": _over_epsilon(
                advice, "Honest claimants of a row that goes up", lambda o: o.config.privacy.honest_claimants, _whole
            ),
            "goes_up": _over_epsilon(advice, "Rows of one holder that go up", lambda o: o.goes_up, numbers.share),
        }


def _over_epsilon(advice: Advice, what: str, value: Callable[[Offer], float], text: Callable[[float], str]) -> str:
    """One figure of every offer, from zero on, with a ring around the proposed one."""
    figure, axes = over("ε of an index, ever")
    epsilons, values = [offer.epsilon_ever for offer in advice.others], [value(offer) for offer in advice.others]
    axes.plot(epsilons, values, color=COLOURS["accent"], linewidth=2.2, marker="o", markersize=4)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda height, _: text(height)))
    axes.set(xlim=(0, None), ylim=(0, 1.15 * max(values)))
    _mark(axes, advice.proposed.epsilon_ever, value(advice.proposed))
    points = zip(epsilons, values, strict=True)
    return svg(figure, f"{what}: " + "; ".join(f"epsilon {x:.2f} {text(y)}" for x, y in points))


def _whole(count: float) -> str:
    return f"{count:.0f}"


def _mark(axes: Axes, x: float, y: float) -> None:
    axes.plot([x], [y], color=COLOURS["ink"], marker="o", markersize=9, fillstyle="none", markeredgewidth=1.6)
    side = "right" if x > 0.7 * axes.get_xlim()[1] else "left"
    below = (9 if side == "left" else -9, -18)
    axes.annotate("proposed", (x, y), xytext=below, textcoords="offset points", ha=side, color=COLOURS["ink"])
