"""Two threads in one run: what they save, and the peers with two threads as they come, spinning included."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from onnx import ModelProto
from report import Check, Report

from inference import engines, nets
from inference.images import PEERS
from inference.turns import compared, measured

THREADS, CANDIDATES = 2, 256
TURN, PAUSE = 0.06, 0.02
"""Seconds of each turn, so that cores are awake, and before it: the peers' threads spin on for a while."""
DINS: Mapping[str, int] = {"din18_b256": 18, "din64_b256": 64}


def measure(report: Report, rounds: int) -> None:
    """Add the checks of every net that is large enough to share."""
    for name, build in nets.IMAGES.items():
        _net(report, rounds, name, build(), nets.image_inputs(), PEERS)
    few = {name: engine for name, engine in PEERS.items() if name != "ncnn"}
    for name, width in DINS.items():
        _net(report, rounds, name, nets.din(width, CANDIDATES), nets.din_inputs(CANDIDATES), few)
    report.notes.append(f"threads: {THREADS} of each engine; ours sleep between operations, the peers' spin by default")


def _net(
    report: Report,
    rounds: int,
    name: str,
    model: ModelProto,
    inputs: engines.Inputs,
    peers: Mapping[str, engines.Engine],
) -> None:
    options = {} if name in nets.IMAGES else {"skip_padding": False}
    runs: dict[str, Callable[[], engines.Array]] = {
        "ours": engines.ours(model, inputs, threads=THREADS, **options),
        "alone": engines.ours(model, inputs, **options),
        **{peer: engines.ready(engine, model, inputs, THREADS) for peer, engine in peers.items()},
    }
    compared(report, f"threads_{name}", runs, "ort")
    times = measured(runs, rounds, TURN, PAUSE)
    report.checks.append(Check(f"threads_{name}_speedup", times.ratio("alone"), "x"))
    report.checks += [Check(f"threads_{name}_vs_{peer}", times.ratio(peer), "x") for peer in peers]
