"""Whether sums can wrap, and what rounding and clipping cost."""

from __future__ import annotations

from math import log2, sqrt

from securefl.audit.findings import Figure, Finding, Verdict
from securefl.audit.subject import Subject
from securefl.config import noise_reach
from securefl.submodel import Quantization

__all__ = ["ring", "quantization"]

COARSE = 0.01
"""Error of a mean update, relative to the scale, above which a reader is told."""


def ring(subject: Subject) -> Finding:
    """Whether the ring carries the sum of the largest inputs of all clients."""
    config = subject.config
    n, b, training = config.cohort.clients, config.secagg.ring_bits, config.training
    levels, noise = config.weight_max * (2**training.quantization_bits - 1), noise_reach(config)
    largest, needed = max(0, 2**b - 1 - 2 * noise) // levels, (n * levels + 2 * noise).bit_length()
    fits = largest >= n
    spare = b - log2(n * levels + 2 * noise + 1)
    return Finding(
        id="ring",
        title="Ring headroom",
        verdict="pass" if fits else "fail",
        value=Figure("largest cohort without wrapping", float(largest), "clients", "exact", "ring"),
        says=f"{b} bits carry {largest:,} clients with weights up to {config.weight_max} and "
        f"{training.quantization_bits} quantization bits; {n} are invited."
        + (f" Noise of all of them takes {noise:,} steps on either side." if noise else "")
        + ("" if fits else " Their sum can wrap, and nothing would show it."),
        change=()
        if fits
        else (f"secagg.ring_bits: use {needed}", "training.quantization_bits or weight_max: lower one of them"),
        figures=(
            Figure("bits needed", needed, "bits", "exact", "ring"),
            Figure("headroom", max(0.0, spare), "bits", "exact", "ring"),
        ),
    )


def quantization(subject: Subject) -> Finding:
    """What rounding adds to a sum, and whether one step can leave the range that is sent."""
    config, training = subject.config, subject.config.training
    n, how = config.cohort.clients, Quantization(training.quantization_bits, training.scale, config.weight_max)
    step = how.clip / how.levels
    error = step / (2 * sqrt(n)) / how.clip
    dense = training.learning_rate * training.clip / training.scale
    verdict: Verdict = "warn" if error > COARSE or dense > 1 + 1e-9 else "pass"
    return Finding(
        id="quantization",
        title="Quantization and clipping",
        verdict=verdict,
        value=Figure("error of the mean update of all, over the scale", error, "", "upper", "quantization"),
        says=f"A coordinate moves in steps of {step:.3g} between -{training.scale:g} and {training.scale:g}; rounding "
        f"is unbiased. One full dense step reaches {dense:.3g} times the scale"
        + (", and is cut." if dense > 1 + 1e-9 else "."),
        change=_change(error > COARSE, dense > 1 + 1e-9),
        figures=(
            Figure("step", step, "of the update", "exact", "quantization"),
            Figure(
                "root mean square error of a sum of all", step * sqrt(n) / 2, "of the update", "upper", "quantization"
            ),
            Figure("largest error of a sum of all", step * n, "of the update", "upper", "quantization"),
            Figure("one dense step over the scale", dense, "", "upper", "clipping"),
            Figure("one embedding step over the scale", dense * training.embedding_rate, "", "upper", "clipping"),
        ),
    )


def _change(coarse: bool, cut: bool) -> tuple[str, ...]:
    rounding = ("training.quantization_bits: use more",) if coarse else ()
    return (*rounding, "training.scale: raise it, or lower learning_rate or clip") if cut else rounding
