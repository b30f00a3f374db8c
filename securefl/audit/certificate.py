"""A certificate: exact fractions and witness events that a reader can check without this library.

`examples/check_certificate.py` does, in thirty lines of the standard library. It checks every number.
"""

from __future__ import annotations

import json
from math import isfinite
from typing import Any

import dp
from securefl.audit.subject import Subject
from securefl.config import Config, least_malicious_threshold

__all__ = ["FORMAT", "MAX_ROUNDS", "certificate"]

FORMAT = "securefl-certificate/1"
MAX_ROUNDS = 1000
"""More rounds than this are certified by what is revealed ever: a checker without this library takes its time."""


def certificate(subject: Subject) -> str:
    """JSON: what claims reveal, with the outcome that proves it, and the inequalities that masks and sums rest on."""
    how, config = subject.config.response, subject.config
    rounds = sorted({1, min(subject.rounds, MAX_ROUNDS)})
    depends = how.p3 != how.p4
    size = subject.population.typical_set
    told: dict[str, Any] = {
        "format": FORMAT,
        "response": [str(p) for p in (how.p1, how.p2, how.p3, how.p4)],
        "claims": [_claim(how.loss_rounds(r), r) for r in rounds] + [_claim(how.loss_ever(), None)] * depends,
        "set": {"size": size, "epsilon": _decimal(how.loss_ever().set_level(size, 0))},
        "shares": _shares(config),
        "ring": _ring(config),
        "unbounded": {"totals, without noise": "1/0", "an index of one holder, by being in the union": "1/0"},
    }
    return json.dumps(told, indent=2, allow_nan=False) + "\n"


def _claim(loss: dp.Loss, rounds: int | None) -> dict[str, Any]:
    """The witness: how many claims were seen (of None rounds: the permanent answer), and under which hypothesis."""
    held = loss.witness is loss.held
    witness = loss.witness
    return {
        "rounds": rounds,
        "seen": _seen(witness.event),
        "speaks_for": "held" if held else "absent",
        "likely": str(witness.likely),
        "unlikely": str(witness.unlikely),
        "epsilon": _decimal(witness.loss),
    }


def _seen(event: str) -> int:
    """Claims in the event "claimed in k of r rounds"; of the permanent answer, 1 if it is true."""
    return int(event.split()[2]) if event.startswith("claimed") else int(event.endswith("true"))


def _decimal(epsilon: float) -> str:
    return f"{epsilon:.6f}" if isfinite(epsilon) else "inf"


def _shares(config: Config) -> dict[str, Any]:
    n, c, t = config.cohort.clients, config.colluders, config.threshold
    least = max(2, least_malicious_threshold(n, c) if config.malicious else c + 1)
    return {
        "clients": n,
        "colluders": c,
        "threshold": t,
        "malicious": config.malicious,
        "least_threshold": least,
        "surplus": t - least,
        "survivors": config.min_survivors,
        "may_be_lost": n - config.min_survivors,
        "honest_inputs": config.min_survivors - c,
    }


def _ring(config: Config) -> dict[str, Any]:
    bits, weight, q = config.secagg.ring_bits, config.training.weight_max, config.training.quantization_bits
    return {
        "bits": bits,
        "weight": weight,
        "quantization_bits": q,
        "largest_sum": config.cohort.clients * weight * ((1 << q) - 1),
        "largest_cohort": ((1 << bits) - 1) // (weight * ((1 << q) - 1)),
    }
