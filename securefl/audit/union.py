"""What the private set union costs and loses, and what its exact answer gives away."""

from __future__ import annotations

from math import inf

import bloom
from securefl.audit.findings import Figure, Finding, Verdict
from securefl.audit.subject import Subject

__all__ = ["union_plan", "union_leakage"]

MANY_FALSE = 0.5
"""False positives over the union above which a reader is told."""
OFTEN_LOST = 0.05
FEW_SUSPECTS = 3


def union_plan(subject: Subject) -> Finding:
    """The encoding: what it falsely adds, what it loses, what it weighs."""
    plan, load = subject.union_plan, subject.load
    false, lost = plan.expected_false, float(plan.worst_loss)
    rows = load.claimed / load.union if load.union else 0.0
    row_bytes = subject.config.training.dim * 2
    verdict: Verdict = "warn" if false > MANY_FALSE * plan.expected_union or lost > OFTEN_LOST else "pass"
    kind = "A bitmap" if plan.kind == "bitmap" else f"A Bloom filter with {plan.hashes} hashes"
    return Finding(
        id="union-plan",
        title="Union plan",
        verdict=verdict,
        value=Figure("expected false indices", false, "indices", "exact", "union-false"),
        says=f"{kind} of {plan.cells:,} cells, {plan.bits} bits each, for {plan.expected_union:,} of {plan.universe:,} "
        f"indices. A round adds about {false:,.0f} false ones, and misses an index of two holders with probability "
        f"{lost:.2g}.",
        change=()
        if verdict == "pass"
        else (
            "union.false_positive_rate: lower it",
            "union.bits: leave it out, or use more",
            "union.expected: expect more",
        ),
        figures=(
            Figure("exact false-positive rate", plan.false_positive_rate, "probability", "exact", "bloom"),
            *_usual(subject),
            Figure("an index of two holders is missed", lost, "probability", "upper", "union-loss"),
            Figure("extra download of a client", false * rows * row_bytes, "bytes", "estimate", "union-false"),
            Figure("a client's encoded set", plan.bytes_up, "bytes", "exact", "union-false"),
        ),
    )


def _usual(subject: Subject) -> tuple[Figure, ...]:
    plan = subject.union_plan
    if plan.kind == "bitmap":
        return ()
    usual = bloom.approximate_false_positive_rate(plan.cells, plan.hashes, plan.expected_union)
    return (Figure("false-positive rate by the usual formula", usual, "probability", "lower", "bloom"),)


def union_leakage(subject: Subject) -> Finding:
    """The union is exact: an index of a lone holder is in it because of that one client."""
    lone, n, c = subject.population.lone_share, subject.config.cohort.clients, subject.config.colluders
    conditional = subject.config.response.loss_rounds(1)
    suspects = max(0, n - c)
    verdict: Verdict = "fail" if suspects < FEW_SUSPECTS else "warn"
    return Finding(
        id="union-leakage",
        title="What the union gives away",
        verdict=verdict,
        value=Figure(
            "epsilon of an index with one holder, unconditional", inf, "nats", "exact", "union-exact",
            "the index is in the union: probability 1 if that client holds it, 0 if it does not",
        ),
        says=f"Randomized response runs only over the exact union. {lone:.0%} of its indices have one holder, and are "
        f"in it because of that client, one of {suspects} honest ones. The claims' guarantee holds given that the "
        "index is in the union.",
        change=(
            "cohort.clients: invite more, so that fewer indices have one holder"
            if suspects >= FEW_SUSPECTS
            else "cohort.clients: invite more, so that the holder is one of many",
            "nothing hides a lone holder cheaply: a thresholded union finds next to nothing (decision record 0005)",
        ),
        figures=(
            Figure("share of the union with one holder", lone, "share", "estimate", "union-holders"),
            Figure("honest clients that could be the holder", suspects, "clients", "exact", "union-exact"),
            Figure.of("epsilon given the union, one round", conditional.epsilon, conditional.witness.event),
        ),
    )  # fmt: skip
