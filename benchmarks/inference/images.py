"""Image nets beside onnxruntime, MNN and ncnn; memory of activations; creation of ResNet-18."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from onnx import ModelProto
from report import Check, Report

from inference import engines, nets
from inference.turns import compared, medians
from securefl.inference import Session, load_prepared, save_prepared
from securefl.inference.onnx import load_onnx

TARGETS: Mapping[str, tuple[float, float]] = {
    "resnet18": (1.05, 1.15), "squeezenet": (0.95, 1.05), "mobilenet": (0.88, 1.0),
}  # fmt: skip
MAPPED, FROM_ONNX = (0.12, 0.08), (0.25, 0.18)
CREATIONS = 5
PEERS: Mapping[str, Callable[..., engines.Run]] = {
    "ort": engines.onnxruntime, "mnn": engines.mnn, "ncnn": engines.ncnn,
}  # fmt: skip


def measure(report: Report, rounds: int) -> None:
    """Add the checks of every net."""
    for name, build in nets.IMAGES.items():
        model, inputs = build(), nets.image_inputs()
        runs = {"ours": engines.ours(model, inputs)} | {peer: make(model, inputs) for peer, make in PEERS.items()}
        compared(report, name, runs, "ort")
        times = medians(runs, rounds)
        best = min(times[peer] for peer in PEERS)
        report.checks.append(Check(f"{name}_vs_best", best / times["ours"], "x", *TARGETS[name]))
        report.checks += [Check(f"{name}_vs_{peer}", times[peer] / times["ours"], "x") for peer in PEERS]
        report.checks.append(Check(f"{name}_milliseconds", 1e3 * times["ours"], "ms"))
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
    """Creation and first run: of ours from ONNX and from the mapped file, and of the peers from their own files."""
    inputs = nets.image_inputs()
    with TemporaryDirectory() as folder:
        source, mapped = Path(folder) / "net.onnx", Path(folder) / "net.prepared"
        source.write_bytes(model.SerializeToString())
        save_prepared(Session(load_onnx(source)), mapped)
        from_mapped = _seconds(lambda: load_prepared(mapped).run(inputs))
        from_onnx = _seconds(lambda: Session(load_onnx(source)).run(inputs))
        ort = _seconds(lambda: engines.onnxruntime(model, inputs)())
    report.checks += [
        Check("resnet18_create_seconds", from_mapped, "s", *MAPPED, direction="<="),
        Check("resnet18_create_onnx_seconds", from_onnx, "s", *FROM_ONNX, direction="<="),
        Check("resnet18_create_ort_seconds", ort, "s"),
    ]
    report.notes.append("creation: with the first run; calibration was cached before, the files are in the page cache")


def _seconds(create: Callable[[], object]) -> float:
    taken = list[float]()
    for _ in range(CREATIONS):
        began = time.perf_counter()
        create()
        taken.append(time.perf_counter() - began)
    return median(taken)
