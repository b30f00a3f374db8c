"""Image nets beside onnxruntime, MNN and ncnn; memory of activations; creation of ResNet-18."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from onnx import ModelProto
from report import Check, Report

from inference import engines, nets
from inference.turns import compared, in_turn, measured
from securefl.inference import Session, load_prepared, save_prepared
from securefl.inference.onnx import load_onnx

TARGETS: Mapping[str, tuple[float, float]] = {
    "resnet18": (1.05, 1.15), "squeezenet": (0.95, 1.05), "mobilenet": (0.88, 1.0),
}  # fmt: skip
MAPPED, FROM_ONNX = (0.12, 0.08), (0.25, 0.18)
CREATIONS = 5
PEERS: Mapping[str, engines.Engine] = {"ort": engines.ORT, "mnn": engines.MNN, "ncnn": engines.NCNN}


def measure(report: Report, rounds: int) -> None:
    """Add the checks of every net."""
    for name, build in nets.IMAGES.items():
        model, inputs = build(), nets.image_inputs()
        runs = {"ours": engines.ours(model, inputs)}
        runs |= {peer: engines.ready(engine, model, inputs) for peer, engine in PEERS.items()}
        compared(report, name, runs, "ort")
        times = measured(runs, rounds)
        best = min(PEERS, key=times.median)
        report.checks.append(Check(f"{name}_vs_best", times.ratio(best), "x", *TARGETS[name]))
        report.checks += [Check(f"{name}_vs_{peer}", times.ratio(peer), "x") for peer in PEERS]
        report.checks.append(Check(f"{name}_milliseconds", 1e3 * times.median("ours"), "ms"))
        _planned(report, name, model)
    _creation(report, nets.resnet18())


def _planned(report: Report, name: str, model: ModelProto) -> None:
    """Which algorithm won where, and what the arena saves."""
    session = Session(load_onnx(model.SerializeToString()))
    won = [row.algorithm for row in session.plan()]
    counts = ", ".join(f"{won.count(kind)} {kind}" for kind in dict.fromkeys(won))
    report.notes.append(f"{name}: {counts}; {session.conversions} layout conversions")
    memory = session.memory
    report.checks += [
        Check(f"{name}_arena_share", memory.arena / memory.activations, "of all activations"),
        Check(f"{name}_arena_megabytes", memory.arena / 1e6, "MB"),
    ]


def _creation(report: Report, model: ModelProto) -> None:
    """Creation and first run, in turn: ours from ONNX and from the mapped file, the peers from the files they like."""
    inputs = nets.image_inputs()
    with TemporaryDirectory() as folder:
        source, mapped = Path(folder) / "net.onnx", Path(folder) / "net.prepared"
        source.write_bytes(model.SerializeToString())
        save_prepared(Session(load_onnx(source)), mapped)
        creations: dict[str, Callable[[], object]] = {
            "create": lambda: load_prepared(mapped).run(inputs),
            "create_onnx": lambda: Session(load_onnx(source)).run(inputs),
        }
        for peer, engine in PEERS.items():
            path = engine.convert(model, Path(folder))
            creations[f"create_{peer}"] = partial(_opened, engine, path, inputs)
        times = in_turn(creations, CREATIONS)
    targets = {"create": MAPPED, "create_onnx": FROM_ONNX}
    report.checks += [
        Check(f"resnet18_{name}_seconds", times.median(name), "s", *targets.get(name, ()), direction="<=")
        for name in creations
    ]
    report.notes.append("creation: with the first run; calibration was cached before, the files are in the page cache")


def _opened(engine: engines.Engine, path: Path, inputs: engines.Inputs) -> object:
    return engine.open(path, inputs, 1)()
