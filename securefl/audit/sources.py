"""What no mask can help: exact totals, coins that somebody knows, and keys that a later machine opens."""

from __future__ import annotations

from fractions import Fraction
from math import inf, sqrt

import dp
from securefl.audit.findings import Figure, Finding
from securefl.audit.subject import Subject

__all__ = ["central_noise", "randomness", "key_exchange"]

QUANTUM_SAFE = {"x25519": 0, "x25519-mlkem768": 192}
"""Bits of security that are left against a quantum computer; ML-KEM-768 is of category 3 (FIPS 203)."""
FRESH_BITS, SEED_BITS = 256, 0
FINITE, DELTA = 8.0, Fraction(1, 10**6)
"""The epsilon, and its delta, for which the audit says how much noise the totals would need."""
EXACT = "a total that two neighbouring inputs do not share: probability 1 under one, 0 under the other"


def central_noise(subject: Subject) -> Finding:
    """An exact sum has no finite epsilon, whatever the claims hide; and what a finite one would take."""
    honest = max(0, subject.config.min_survivors - subject.config.colluders)
    if subject.release is not None:
        return _noisy(subject, subject.release) if honest else _subtracted(subject)
    noise = _noise(subject)
    return Finding(
        id="central-noise",
        title="Central noise",
        verdict="warn",
        value=Figure(
            "epsilon of the totals", inf, "nats", "exact", "noise-none", EXACT
        ),
        says="Sums, counts and the union are opened exactly, to the server that also saw the claims. Taken together, "
        f"nothing bounds what they say about one client. For eps {FINITE:g} a dense coordinate would need noise of "
        f"{noise:.0f} times a client's largest input.",
        change=(
            "privacy.noise_multiplier: noise on every sum, from the honest inputs that are sure",
            "without it: treat the totals as public, and keep cohorts large and overlapping in their items",
        ),
        figures=(
            Figure("noise shares sure to be in a sum", honest, "clients", "lower", "honest-inputs"),
            Figure("noise of a dense coordinate, over the largest input", noise, "", "estimate", "noise-renyi"),
        ),
    )  # fmt: skip


def _noisy(subject: Subject, release: dp.Release) -> Finding:
    """Sums with noise: what all planned rounds say about a client that is in each of them."""
    config, steps = subject.config, release.sensitivity
    dense, rows = config.min_survivors - config.colluders, config.privacy.honest_claimants
    epsilon = release.renyi(subject.delta)
    return Finding(
        id="central-noise",
        title="Central noise",
        verdict="pass" if epsilon <= FINITE else "warn",
        value=Figure.of("epsilon of the sums", epsilon),
        says=f"Every opened number carries Skellam noise of deviation {config.privacy.noise_multiplier:g} times the "
        f"radius {config.privacy.clip_radius:g} of an update, from the {dense} honest shares that are sure in dense "
        f"sums and the {rows} that are in rows. Over {subject.rounds} rounds, at delta {float(subject.delta):g}, for "
        "one client's updates replaced by any others. The union and the claims carry none.",
        change=() if epsilon <= FINITE else ("privacy.noise_multiplier: raise it, or plan fewer rounds",),
        figures=(
            Figure("noise shares sure to be in a sum", dense, "clients", "lower", "honest-inputs"),
            Figure("noise shares sure to be in a row", rows, "clients", "lower", "row-shares"),
            Figure("L2 sensitivity, with rounding", sqrt(steps.l2_squared), "steps", "upper", "noise-ball"),
            Figure("L1 sensitivity, with rounding", float(steps.l1), "steps", "upper", "noise-ball"),
            Figure("deviation of the noise, at least", sqrt(config.noise_variance), "steps", "lower", "noise-ball"),
        ),
    )


def _subtracted(subject: Subject) -> Finding:
    """Noise of which every share may be a colluder's is no noise."""
    config = subject.config
    return Finding(
        id="central-noise",
        title="Central noise",
        verdict="fail",
        value=Figure(
            "epsilon of the sums", inf, "nats", "exact", "noise-none", f"every share is a colluder's; {EXACT}"
        ),
        says=f"A sum opens with {config.min_survivors} clients in it, and {config.colluders} are assumed to collude: "
        "no honest share of the noise is sure, and colluders subtract theirs.",
        change=("secagg.min_survivors: use more than the colluders", "secagg.colluders: trust more of the clients"),
        figures=(Figure("noise shares sure to be in a sum", 0, "clients", "lower", "honest-inputs"),),
    )


def _noise(subject: Subject) -> float:
    """Its deviation: one client moves each of D coordinates by twice its largest input, in every planned round."""
    low, high = 0.0, FINITE
    for _ in range(40):
        rho = (low + high) / 2
        low, high = (rho, high) if dp.zcdp_epsilon(rho, DELTA, subject.rounds) <= FINITE else (low, rho)
    return 2 * sqrt(subject.model.dense_size / (2 * low))


def randomness(subject: Subject) -> Finding:
    """Whether the coins of claims come from the system or from a seed."""
    seeded = subject.config.cohort.seed is not None
    return Finding(
        id="randomness",
        title="Source of randomness",
        verdict="warn" if seeded else "pass",
        value=Figure("unknown bits of a claim's coins", SEED_BITS if seeded else FRESH_BITS, "bits", "upper", "coins"),
        says="Claims, blinding, rounding and noise follow from cohort.seed: a simulation, not private. Whoever knows "
        "the seed reads every claim. Keys and masks never come from it."
        if seeded
        else "Every coin comes from the operating system.",
        change=("cohort.seed: leave it out for anything but a simulation",) if seeded else (),
    )


def key_exchange(subject: Subject) -> Finding:
    """Whether uploads that are recorded today stay closed."""
    kem = subject.config.secagg.kem
    bits = QUANTUM_SAFE[kem]
    return Finding(
        id="key-exchange",
        title="Key exchange",
        verdict="pass" if bits else "warn",
        value=Figure("security against a quantum computer", bits, "bits", "upper", "suite"),
        says=f"{kem}: "
        + ("both X25519 and ML-KEM-768 must fall before a recorded upload opens." if bits else "an upload that is "
           "recorded today opens when X25519 falls."),
        change=() if bits else ("secagg.kem: use x25519-mlkem768, the default",),
    )  # fmt: skip
