"""What stands on either side of the masks: floats to words, words to packed bits.

pack_<bits>_copy_fraction, unpack_<bits>_copy_fraction: a NumPy copy of the same 10^5 words of 32 bits into memory that
is there, against ours; packing makes the bytes it returns, unpacking goes into memory that is there.
quantize_ratio: 10^5 floats clipped, scaled, rounded stochastically and weighed, by NumPy with draws from the operating
system, against ours with draws from the AES stream of a fresh secret.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

import numpy as np
from report import Check, Report

from core.turns import medians
from native import ring

PEERS: tuple[str, ...] = ()
COUNT = 100_000
BITS = (22, 24, 32)
CLIP, LEVELS, WEIGHT = 8.0, 2**21 - 1, 3


def measure(report: Report, rounds: int) -> None:
    """Add the checks of this family; none has a target."""
    _packing(report, rounds)
    _quantization(report, rounds)


def _packing(report: Report, rounds: int) -> None:
    words = np.random.default_rng(0).integers(0, 2**32, COUNT, np.uint32)
    target = np.empty_like(words)
    sides: dict[str, Callable[[], object]] = {"copy": partial(np.copyto, target, words)}
    for bits in BITS:
        packed = ring.pack(words, bits)
        sides[f"pack_{bits}"] = partial(ring.pack, words, bits)
        sides[f"unpack_{bits}"] = partial(ring.unpack, packed, bits, COUNT, out=target)
    seconds = medians(sides, rounds)
    copy = seconds.pop("copy")
    report.checks += [Check(f"{name}_copy_fraction", copy / taken, "of a copy") for name, taken in seconds.items()]


def _quantization(report: Report, rounds: int) -> None:
    values = np.random.default_rng(0).uniform(-1, 1, (1, COUNT)).astype(np.float32)
    weights, out = np.array([WEIGHT], np.uint32), np.empty((1, COUNT + 1), np.uint64)

    def ours() -> None:
        ring.quantize(out, values, weights, clip=CLIP, levels=LEVELS, key=os.urandom(32))

    def numpy() -> None:
        scaled = np.clip(values.astype(np.float64), -CLIP, CLIP) / CLIP * LEVELS
        down = np.floor(scaled)
        draws = np.frombuffer(os.urandom(4 * scaled.size), "<u4").reshape(scaled.shape)
        rounded = (down + (draws < (scaled - down) * 2.0**32)).astype(np.int64)
        np.column_stack([rounded * WEIGHT, weights])

    seconds = medians({"ours": ours, "numpy": numpy}, rounds)
    report.checks += [
        Check("quantize_ratio", seconds["numpy"] / seconds["ours"], "x"),
        Check("quantize_us", 1e6 * seconds["ours"], "us"),
    ]
