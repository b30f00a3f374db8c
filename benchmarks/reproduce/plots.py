"""Draws the plots of docs/results.md from docs/results/*-curves.json.

python benchmarks/reproduce/plots.py
"""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
import numpy as np
from matplotlib import pyplot as plt
from numpy.typing import NDArray

HERE = Path(__file__).parents[2] / "docs" / "results"
INK, ACCENT, OTHER = "#6b7280", "#0f766e", "#b45309"
WAYS = (
    ("central", "central", INK, ":"),
    ("fedavg", "FedAvg", OTHER, "-"),
    ("submodel_none", "claims: none", ACCENT, ":"),
    ("submodel_15_16", "15/16", ACCENT, "-."),
    ("submodel_7_8", "7/8", ACCENT, "-"),
    ("submodel_3_4", "3/4", ACCENT, "--"),
    ("fedsubavg", "FedSubAvg", "#7c3aed", "-"),
)
ROWS = ((50, 1), (100, 1), (100, 3), (100, 5), (200, 1))


def main() -> None:
    """One picture a reproduction that has curves."""
    mpl.rcParams |= {"svg.hashsalt": "securefl", "font.size": 9, "axes.edgecolor": INK, "text.color": INK}
    mpl.rcParams |= {"axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK}
    for draw, name in ((mnist, "mnist"), (cifar, "cifar")):
        curves = HERE / f"{name}-curves.json"
        if curves.exists():
            figure = draw({run: points(curve) for run, curve in json.loads(curves.read_text()).items()})
            figure.savefig(HERE / f"{name}.svg", transparent=True, metadata={"Date": None})
            print(HERE / f"{name}.svg")
    if all((HERE / f"auc-{log}-curves.json").exists() for log in ("amazon", "ml-100k")):
        clicks().savefig(HERE / "auc.svg", transparent=True, metadata={"Date": None})
        print(HERE / "auc.svg")


def mnist(curves: dict[str, NDArray[np.float64]]) -> plt.Figure:
    """FedAvg and FedLaAvg in each row of the table, after the first quarter."""
    figure, axes = plt.subplots(1, len(ROWS), figsize=(11, 2.6), sharey=True, layout="constrained")
    for one, (span, first) in zip(axes, ROWS, strict=True):
        for name, colour in (("FedAvg", OTHER), ("FedLaAvg", ACCENT)):
            rounds, accuracy = curves[f"E{span} D{first} {name} seed 1"].T
            one.plot(rounds, accuracy, color=colour, linewidth=0.9, label=name)
        one.set(title=f"E {span}, D {first}", xlabel="round", xlim=(1000, 4000), ylim=(60, 94))
        one.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("test accuracy, %")
    axes[0].legend(frameon=False, loc="lower right")
    return figure


def cifar(curves: dict[str, NDArray[np.float64]]) -> plt.Figure:
    """Every seed of both strategies, each the mean of ten whole turns of the two groups."""
    figure, axes = plt.subplots(figsize=(6.5, 3), layout="constrained")
    for name, colour in (("FedAvg", OTHER), ("FedLaAvg", ACCENT)):
        seeds = [curve for run, curve in sorted(curves.items()) if run.startswith(f"{name} rate 0.01 ")]
        for at, curve in enumerate(seeds):
            rounds, accuracy = smooth(curve, 30).T
            axes.plot(rounds, accuracy, color=colour, linewidth=1.1, label=None if at else name)
    axes.set(xlabel="round", ylabel="test accuracy, %", xlim=(0, None))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    return figure


def clicks() -> plt.Figure:
    """Every way of training on both click logs, at one rate and each at its own."""
    figure, axes = plt.subplots(1, 4, figsize=(11, 2.9), layout="constrained")
    panels = [(log, rate) for log in ("amazon", "ml-100k") for rate in ("one", "tuned")]
    for one, (log, rate) in zip(axes, panels, strict=True):
        curves = json.loads((HERE / f"auc-{log}-curves.json").read_text())
        for way, label, colour, style in WAYS:
            if f"{rate} {way}" not in curves:
                continue
            number, auc = points(curves[f"{rate} {way}"]).T
            one.plot(number, auc, style, color=colour, linewidth=1.1, label=label)
        one.set(title=f"{log}, {'one rate' if rate == 'one' else 'each tuned'}", xlabel="round", ylim=(0.5, 0.77))
        one.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("test AUC")
    axes[0].legend(frameon=False, loc="upper left", fontsize=7, ncols=2)
    return figure


def points(curve: dict[str, float]) -> NDArray[np.float64]:
    """(n, 2): round, percent."""
    return np.array([(int(number), accuracy) for number, accuracy in curve.items()])


def smooth(curve: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """The mean of `width` successive points, at the last of them."""
    means = np.convolve(curve[:, 1], np.full(width, 1 / width), mode="valid")
    return np.column_stack([curve[width - 1 :, 0], means])


if __name__ == "__main__":
    main()
