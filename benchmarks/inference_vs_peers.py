"""Inference beside onnxruntime, MNN and ncnn: float32, NumPy to NumPy, the engines in turn, on one thread or two.

    python benchmarks/inference_vs_peers.py --json inference.json
    python benchmarks/inference_vs_peers.py --only threads --json inference-threads.json

A ratio is the peer's time over ours. Only x86 was ever measured; nothing here says anything about phones.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # before any engine is imported

from inference import dins, images, threads, turns  # noqa: E402
from report import Report  # noqa: E402 - the engines read those variables when they are imported

FAMILIES: dict[str, Callable[[Report, int], None]] = {
    "din": dins.measure,
    "images": images.measure,
    "threads": threads.measure,
}
ONE_THREAD = ("din", "images")
PACKAGES = ["securefl", "numpy", "onnx", "onnxruntime", "MNN", "ncnn"]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=FAMILIES, action="append", help="this family; may be repeated (din, images)")
    parser.add_argument("--rounds", type=int, default=31, metavar="R", help="turns of each engine (31)")
    parser.add_argument("--cpu-time", action="store_true", help="not wall time: for a machine with other work")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    asked = parser.parse_args()
    report = Report(sys.argv, PACKAGES)
    if asked.cpu_time:
        turns.clock = time.thread_time
        report.notes.append("times are CPU times of the thread, as the machine had other work")
    report.notes.append("float32, NumPy to NumPy, one thread but where it says two")
    report.notes.append("only x86 was measured; MNN's wheel has no AVX-512")
    for name in asked.only or ONE_THREAD:
        FAMILIES[name](report, asked.rounds)
    print(report.table())
    if asked.json:
        report.write(asked.json)


if __name__ == "__main__":
    main()
