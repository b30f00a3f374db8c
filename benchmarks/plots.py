"""Draws the plots of the docs from the figures in docs/performance/*.json.

python benchmarks/plots.py
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt

HERE = Path(__file__).parents[1] / "docs" / "performance"
INK, ACCENT, OTHER = "#6b7280", "#0f766e", "#b45309"


def main() -> None:
    """One picture a file of figures."""
    mpl.rcParams |= {"svg.hashsalt": "securefl", "font.size": 9, "axes.edgecolor": INK, "text.color": INK}
    mpl.rcParams |= {"axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK}
    floors("core", "core.json", "union.json")
    floors("inference", "inference.json")
    scale()
    attacker()


def floors(picture: str, *files: str) -> None:
    """Every check with a floor, as a multiple of its floor, and where its goal stands."""
    checks = [c for name in files for c in json.loads((HERE / name).read_text())["checks"]]
    held = [c for c in reversed(checks) if c["floor"] is not None and not c["name"].endswith("_difference")]
    figure, axes = plt.subplots(figsize=(7, 0.28 * len(held) + 0.9), layout="constrained")
    for at, check in enumerate(held):
        above = {key: check[key] / check["floor"] for key in ("value", "goal") if check[key] is not None}
        if check["direction"] == "<=":
            above = {key: 1 / ratio for key, ratio in above.items()}
        axes.plot([1, above["value"]], [at, at], color=ACCENT, linewidth=5, solid_capstyle="butt")
        said = f"{check['value']:,.0f}" if check["value"] >= 1000 else f"{check['value']:.3g}"
        axes.annotate(said, (above["value"], at), textcoords="offset points", xytext=(6, -3))
        if "goal" in above:
            axes.plot(above["goal"], at, "|", color=OTHER, markersize=11, markeredgewidth=2)
    axes.axvline(1, color=INK, linewidth=1)
    axes.set(xscale="log", xlim=(0.9, 12), xlabel="times better than the floor; the bar across is the goal")
    axes.set_xticks([1, 2, 5, 10], ["1", "2", "5", "10"])
    axes.set_yticks(range(len(held)), [c["name"] for c in held])
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(HERE / f"{picture}.svg", transparent=True, metadata={"Date": None})
    print(HERE / f"{picture}.svg")


def scale() -> None:
    """How client time and server memory grow with the cohort."""
    checks = [c for name in ("scale.json", "scale-10000.json") for c in json.loads((HERE / name).read_text())["checks"]]
    figure, (time, memory) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
    _line(time, series(checks, "client_ms"), "time of a client, ms", ACCENT)
    _line(memory, series(checks, "server_peak_mb"), "peak memory of the server process, MB", OTHER)
    figure.savefig(HERE / "scale.svg", transparent=True, metadata={"Date": None})
    print(HERE / "scale.svg")


def attacker() -> None:
    """How often a server guesses right, at each choice of odds, beside the bound for claims."""
    checks = {c["name"]: c["value"] for c in json.loads((HERE / "attacker.json").read_text())["checks"]}
    odds = ("union", "3/4", "7/8", "15/16", "none")
    figure, axes = plt.subplots(figsize=(6, 2.8), layout="constrained")
    for offset, name, colour in ((-0.17, "claims", ACCENT), (0.17, "totals", OTHER)):
        label = "from claims" if name == "claims" else "from claims and totals"
        heights = [checks[f"{name}_{one}"] for one in odds]
        axes.bar([at + offset for at in range(len(odds))], heights, width=0.32, color=colour, label=label)
    for at, one in enumerate(odds):
        bound = checks[f"bound_{one}"]
        axes.plot([at - 0.4, at + 0.4], [bound, bound], color=INK, label="bound for claims" if at == 0 else None)
    axes.set(ylim=(0.5, 1.02), ylabel="right guesses", xlabel="odds of claims")
    axes.set_xticks(range(len(odds)), odds)
    axes.legend(frameon=False, loc="upper left", fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(HERE / "attacker.svg", transparent=True, metadata={"Date": None})
    print(HERE / "attacker.svg")


def series(checks: list[dict[str, object]], name: str) -> list[tuple[int, float]]:
    """(clients, value) of the checks called name_<clients>."""
    found = [(re.fullmatch(rf"{name}_(\d+)", str(c["name"])), c["value"]) for c in checks]
    return sorted((int(match[1]), float(str(value))) for match, value in found if match)


def _line(axes: plt.Axes, points: list[tuple[int, float]], title: str, colour: str) -> None:
    clients, values = zip(*points, strict=True)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="clients; both axes are logarithmic",
        title=title,
        ylim=(min(values) / 1.5, max(values) * 1.5),
    )
    axes.plot(clients, values, "o-", color=colour)
    for n, value in points:
        axes.annotate(f"{value:.3g}", (n, value), textcoords="offset points", xytext=(-4, 6), ha="right", fontsize=8)
    axes.set_xticks(clients, [f"{n:,}" for n in clients])
    axes.set_yticks([])
    axes.minorticks_off()
    axes.margins(x=0.12)
    axes.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    main()
