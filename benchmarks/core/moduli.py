"""Vectors of 2^16 residues beside compiled peers: the same modulus, plain residues in and out, new arrays on each side.

modmul_ratio: products of two vectors modulo 2^31 - 1, against galois (Numba) with the quicker of its dtypes.
modscale_ratio: a vector times a number modulo 2^61 - 1, against python-flint's `nmod_mat * int`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from report import Check, Report

from core.turns import medians
from native.field import P61, Modulus

PEERS = ("galois", "python-flint")
COUNT, TIMES = 1 << 16, 8
P31 = 2**31 - 1


def measure(report: Report, rounds: int) -> None:
    """Add the checks of this family."""
    multiplying(report, rounds)
    scaling(report, rounds)


def multiplying(report: Report, rounds: int) -> None:
    """Element by element."""
    import galois

    a, b, ring, field = residues(P31, 0), residues(P31, 1), Modulus(P31), galois.GF(P31)
    peers = {dtype.__name__: (field(a.astype(dtype)), field(b.astype(dtype))) for dtype in field.dtypes}
    if any((np.asarray(x * y) != ring.mul(a, b)).any() for x, y in peers.values()):
        raise SystemExit("moduli: the two sides differ")
    sides = {"ours": partial(ring.mul, a, b)} | {name: partial(np.multiply, x, y) for name, (x, y) in peers.items()}
    seconds = timed(sides, rounds)
    theirs = min(seconds[name] for name in peers)
    report.checks += [
        Check("modmul_ratio", theirs / seconds["ours"], "x", 1.3, 3),
        Check("modmul_time", 1e9 * seconds["ours"], "ns"),
        Check("galois_mul_time", 1e9 * theirs, "ns"),
    ]


def scaling(report: Report, rounds: int) -> None:
    """By one number."""
    import flint

    a, ring, factor = residues(P61, 0), Modulus(P61), P61 // 3
    matrix = flint.nmod_mat(COUNT // 64, 64, a.tolist(), P61)
    if [int(x) for x in (matrix * factor).entries()] != ring.scale(a, factor).tolist():
        raise SystemExit("moduli: the two sides differ")
    seconds = timed({"ours": partial(ring.scale, a, factor), "flint": lambda: matrix * factor}, rounds)
    report.checks += [
        Check("modscale_ratio", seconds["flint"] / seconds["ours"], "x", 1.5, 2.5),
        Check("modscale_time", 1e9 * seconds["ours"], "ns"),
        Check("flint_scale_time", 1e9 * seconds["flint"], "ns"),
    ]


def residues(m: int, seed: int) -> np.ndarray:
    """Uniform ones."""
    return np.random.default_rng(seed).integers(0, m, COUNT, np.uint64)


def timed(sides: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Seconds a residue; a turn runs its side several times."""
    seconds = medians({name: partial(repeat, side) for name, side in sides.items()}, rounds)
    return {name: taken / COUNT / TIMES for name, taken in seconds.items()}


def repeat(side: Callable[[], object]) -> None:
    """One turn."""
    for _ in range(TIMES):
        side()
