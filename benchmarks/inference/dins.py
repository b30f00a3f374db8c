"""DIN beside onnxruntime and MNN: as it is exported, and with our rewriting given to them too.

Padding is not skipped, but for the lines that say so: what is left is algebra and kernels. `din_vs_rewritten_ort` gives
onnxruntime the factored net: the kernels' share alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from report import Check, Report

from inference import engines, nets
from inference.turns import compared, measured
from securefl.inference.onnx import load_onnx, to_onnx
from securefl.inference.rules import ALGEBRA, rewrite

TARGETS: Mapping[str, tuple[float, float]] = {
    "din18_b1_vs_ort": (2.0, 2.6), "din18_b1_vs_mnn": (1.6, 2.0),
    "din64_b1_vs_ort": (2.0, 2.4), "din64_b1_vs_mnn": (1.6, 2.0),
    "din18_b256_vs_ort": (2.0, 2.5), "din18_b256_vs_mnn": (2.4, 2.8),
    "din64_b256_vs_ort": (2.4, 2.8), "din64_b256_vs_mnn": (3.2, 3.8),
}  # fmt: skip
REWRITTEN = (1.25, 1.5)


def measure(report: Report, rounds: int) -> None:
    """Add the checks of all four sizes."""
    against_rewritten = list[float]()
    for name, (width, batch) in nets.DINS.items():
        model, inputs = nets.din(width, batch), nets.din_inputs(batch)
        rewritten = to_onnx(rewrite(load_onnx(model.SerializeToString()), ALGEBRA)[0])
        runs = {
            "ours": engines.ours(model, inputs, skip_padding=False),
            "skipping": engines.ours(model, inputs),
            "ort": engines.ready(engines.ORT, model, inputs),
            "mnn": engines.ready(engines.MNN, model, inputs),
            "ort_rewritten": engines.ready(engines.ORT, rewritten, inputs),
            "mnn_rewritten": engines.ready(engines.MNN, rewritten, inputs),
        }
        compared(report, name, runs, "ort")
        times = measured(runs, rounds)
        for peer in ("ort", "mnn"):
            check = f"{name}_vs_{peer}"
            report.checks.append(Check(check, times.ratio(peer), "x", *TARGETS[check]))
        against_rewritten.append(times.ratio("ort_rewritten"))
        report.checks += [
            Check(f"{name}_vs_rewritten_ort", against_rewritten[-1], "x"),
            Check(f"{name}_vs_rewritten_mnn", times.ratio("mnn_rewritten"), "x"),
            Check(f"{name}_rewritten_ort_vs_ort", times.ratio("ort", "ort_rewritten"), "x"),
            Check(f"{name}_skipping_vs_ort", times.ratio("ort", "skipping"), "x"),
            Check(f"{name}_microseconds", 1e6 * times.median("ours"), "us"),
            Check(f"{name}_skipping_microseconds", 1e6 * times.median("skipping"), "us"),
        ]
    report.checks.append(Check("din_vs_rewritten_ort", min(against_rewritten), "x", *REWRITTEN))
    report.notes.append(
        "din_vs_rewritten_ort is the least of the four sizes; padding is skipped in *_skipping_* alone."
    )
