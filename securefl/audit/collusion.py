"""Who would have to work together: shares, honest inputs, the mask graph, and how many clients may vanish."""

from __future__ import annotations

from fractions import Fraction
from math import inf

from securefl.audit.findings import Figure, Finding, Verdict
from securefl.audit.subject import Subject
from securefl.config import Config, abort_probability, least_malicious_threshold, override
from securefl.config.checks import COMPLETE_GRAPH_MAX, RISKY_ABORT
from securefl.errors import ConfigurationError
from securefl.secagg.finder import Adversary, FailureExponents, degree_and_threshold, failure_exponents

__all__ = ["threshold", "cohort", "graph", "dropout"]

FEW_HONEST = 5
"""Honest inputs in a sum below which a reader is told."""
SECURE_BITS, CORRECT_BITS = 41, 20
LIKELY_ABORT = 0.1


def threshold(subject: Subject) -> Finding:
    """Whether the colluders, with the server, can open a secret."""
    config = subject.config
    n, t, c = config.cohort.clients, config.threshold, config.colluders
    least = _least_threshold(config)
    tolerated, against_lies = t - 1, max(0, 2 * t - n)
    most = against_lies if config.malicious else tolerated
    holds = t >= least
    verdict: Verdict = "fail" if not holds else "warn" if c == 0 else "pass"
    return Finding(
        id="threshold",
        title="Threshold against collusion",
        verdict=verdict,
        value=Figure("colluders held off", most, "clients", "exact", "shares"),
        says=_threshold_says(config, most, holds),
        change=_threshold_change(n, t, c, least),
        figures=(
            Figure("colluders assumed", c, "clients", "exact", "shares"),
            Figure("shares that open a secret", t, "shares", "exact", "shares"),
            Figure("least safe threshold", least, "shares", "exact", "shares"),
            Figure("colluders held off if the server lies", against_lies, "clients", "exact", "shares"),
        ),
    )


def _least_threshold(config: Config) -> int:
    n, c = config.cohort.clients, config.colluders
    return max(2, least_malicious_threshold(n, c) if config.malicious else c + 1)


def _threshold_says(config: Config, most: int, holds: bool) -> str:
    server = "a server that lies" if config.malicious else "the server"
    if not holds:
        return f"{config.colluders} colluders and {server} can open the secrets of every other client."
    assumed = "; nobody is assumed to collude" if config.colluders == 0 else f"; {config.colluders} are assumed"
    return f"Up to {most} of {config.cohort.clients} clients may work for {server} without opening a secret{assumed}."


def _threshold_change(n: int, t: int, c: int, least: int) -> tuple[str, ...]:
    if t < least <= n - 1:
        return (f"secagg.threshold: use {least} to {n - 1}",)
    if t < least:
        return (f"secagg.colluders: no threshold holds off {c} of {n}; invite more clients or trust more of them",)
    return ("secagg.colluders: plan for some; leave it out for a twentieth of the cohort",) if c == 0 else ()


def cohort(subject: Subject) -> Finding:
    """How many honest inputs are in any sum that opens, whoever is lost."""
    config = subject.config
    n, c = config.cohort.clients, config.colluders
    honest = max(0, config.min_survivors - c)
    verdict: Verdict = "fail" if honest < 2 else "warn" if honest < FEW_HONEST else "pass"
    return Finding(
        id="cohort",
        title="Smallest cohort after the worst dropouts",
        verdict=verdict,
        value=Figure("honest inputs in any opened sum", honest, "clients", "lower", "honest-inputs"),
        says=f"A sum opens only with {config.min_survivors} of {n} clients in it, {honest} of them honest"
        + ("." if honest > 1 else ": the others can subtract what they put in, and read the rest."),
        change=()
        if verdict == "pass"
        else (f"secagg.min_survivors: ask for at least {c + FEW_HONEST}", "cohort.clients: invite more"),
        figures=(Figure("clients that must stay", config.min_survivors, "clients", "exact", "honest-inputs"),),
    )


def dropout(subject: Subject) -> Finding:
    """How often a round opens nothing because too many were lost."""
    config = subject.config
    abort = abort_probability(config)
    verdict: Verdict = "pass" if abort <= RISKY_ABORT else "warn" if abort <= LIKELY_ABORT else "fail"
    bearable = bearable_dropout(config)
    n, spare = config.cohort.clients, config.cohort.clients - config.min_survivors
    lost = n * config.cohort.dropout
    digits = 1 if 0 < lost < 10 else 0
    return Finding(
        id="dropout",
        title="Dropout margin",
        verdict=verdict,
        value=Figure("a round opens nothing", abort, "probability", "exact", "dropout"),
        says=f"At {config.cohort.dropout:.0%} loss {lost:.{digits}f} of {n} clients vanish on average; {spare} "
        f"may. One round in 100 fails at {bearable:.1%} loss.",
        change=()
        if verdict == "pass"
        else (
            _fewer_survivors(config),
            "cohort.dropout: choose steadier clients",
        ),
        figures=(
            Figure("clients that may be lost", spare, "clients", "exact", "dropout"),
            Figure("loss at which one round in 100 fails", bearable, "share", "lower", "dropout"),
        ),
    )


def _fewer_survivors(config: Config) -> str:
    least = _least_threshold(config)
    if config.min_survivors > config.threshold + 1:
        return f"secagg.min_survivors: lower it, to {config.threshold + 1} at least"
    if config.threshold > least:
        return f"secagg.threshold: lower it, to {least} at least"
    return "cohort.clients: invite more; the threshold is the least that is safe"


def bearable_dropout(config: Config) -> float:
    """The largest loss rate, in steps of 1/1024, at which a round fails with probability 1/100 at most."""
    wanted = {"secagg.min_survivors": config.min_survivors}
    low, high = 0, 1024
    while low + 1 < high:
        middle = (low + high) // 2
        fails = abort_probability(override(config, wanted | {"cohort.dropout": middle / 1024})) > RISKY_ABORT
        low, high = (low, middle) if fails else (middle, high)
    return low / 1024


def graph(subject: Subject) -> Finding:
    """How the mask graph can fail, in bits, and the smallest sparse graph that would be safe for plain sums."""
    config = subject.config
    n, k, complete = config.cohort.clients, config.degree, config.degree == config.cohort.clients - 1
    verdict, says, change = _graph_verdict(config, complete)
    return Finding(
        id="graph",
        title="Mask graph",
        verdict=verdict,
        value=Figure("neighbours of a client", k, "clients", "exact", "graph-finder"),
        says=says,
        change=change,
        figures=(*_exponents(config), *_smallest(config)) if n >= 4 else (),
    )


def _graph_verdict(config: Config, complete: bool) -> tuple[Verdict, str, tuple[str, ...]]:
    n, k = config.cohort.clients, config.degree
    if not complete:
        return (
            "fail",
            f"With {k} of {n - 1} neighbours a claimant joined to its row through lost neighbours only could be read, "
            "and a server could grind the roster.",
            (f"secagg.degree: leave it out: a submodel round joins all {n} clients",),
        )
    if n > COMPLETE_GRAPH_MAX:
        return (
            "fail",
            f"{n} clients are too many for one complete graph, and shards are not available to a run yet.",
            (f"cohort.clients: use at most {COMPLETE_GRAPH_MAX}, and audit one shard",),
        )
    return "pass", f"Every two of {n} clients share a mask: no set of colluders or losses cuts anybody off.", ()


def adversary(config: Config) -> Adversary:
    """What the finder calls the setting."""
    return "semi_malicious" if config.malicious else "semi_honest"


def shares_of(config: Config) -> tuple[Fraction, Fraction]:
    """gamma and delta: shares of corrupt and of lost clients."""
    return Fraction(config.colluders, config.cohort.clients), Fraction(str(config.cohort.dropout))


def _exponents(config: Config) -> tuple[Figure, ...]:
    try:
        found = failure_exponents(
            config.cohort.clients,
            config.degree,
            min(config.threshold, config.degree),
            *shares_of(config),
            adversary(config),
        )
    except ConfigurationError:  # an odd degree is no Harary graph
        return ()
    c, t, k = config.colluders, config.threshold, config.degree
    return (
        _bits("-log2 E1, colluders open a secret", found.unmasked, "graph-e1", f"{c} colluders lack {t} shares"),
        _bits("-log2 E2, the honest fall apart", found.disconnected, "graph-e2", f"{k} neighbours outnumber all cuts"),
        _bits("-log2 E3, too few neighbours stay", found.aborted, "graph-e3", "that many losses leave enough"),
    )


def _bits(name: str, exponent: float, formula: str, never: str) -> Figure:
    return Figure(
        name, abs(exponent), "bits", "lower", formula, f"cannot happen: {never}" if exponent == -inf else None
    )


def _smallest(config: Config) -> tuple[Figure, ...]:
    try:
        k, t = degree_and_threshold(config.cohort.clients, *shares_of(config), adversary(config))
    except ConfigurationError:
        return ()
    return (
        Figure("smallest safe degree, plain sums", k, "clients", "exact", "graph-finder"),
        Figure("its smallest safe threshold", t, "shares", "exact", "graph-finder"),
    )


def is_safe(found: FailureExponents) -> bool:
    """Whether a sparse graph meets the finder's bounds."""
    return max(found.unmasked, found.disconnected) <= -SECURE_BITS and found.aborted <= -CORRECT_BITS
