"""A whole audit: every check of a configuration, in the order a reader wants."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from math import inf

import msgspec

from securefl import __version__
from securefl.audit import arithmetic, claims, collusion, history, rows, sources, union
from securefl.audit.attacker import attacker, attacker_curve
from securefl.audit.certificate import certificate
from securefl.audit.curves import curves
from securefl.audit.empirical import sampler
from securefl.audit.findings import Audit, Curve, Finding, worst
from securefl.audit.formulas import FORMULAS
from securefl.audit.subject import Subject
from securefl.config import Config, from_table
from securefl.errors import ConfigurationError
from securefl.store import Disclosure, SqliteDisclosures

__all__ = ["CHECKS", "RUN_CHECKS", "audit", "headline"]

CHECKS: tuple[Callable[[Subject], Finding], ...] = (
    claims.response,
    claims.budget,
    rows.row_anonymity,
    union.union_leakage,
    sources.central_noise,
    collusion.threshold,
    collusion.cohort,
    collusion.graph,
    collusion.dropout,
    arithmetic.ring,
    arithmetic.quantization,
    union.union_plan,
    rows.peers,
    sources.randomness,
    sources.key_exchange,
)
"""Every check that needs nothing but a configuration."""

RUN_CHECKS: tuple[Callable[[Subject, Sequence[Disclosure]], Finding], ...] = (
    history.spent,
    history.memory,
    history.thin_rows,
    history.overlap,
)
"""Every check of what a run disclosed."""


def audit(
    config: Config,
    *,
    rounds: int | None = None,
    accept: Collection[str] = (),
    ledger: SqliteDisclosures | None = None,
    empirical: bool = False,
    seed: int | None = None,
) -> Audit:
    """What a configuration, and a run of it, really protects.

    `rounds`: how many are planned (None: as configured). `accept`: ids of warnings that the caller knows of; they are
    told as ever and left out of the verdict. `ledger`: what a run disclosed. `empirical`: attack the sampler (`seed`
    repeats that) and play a guessing server. Raises ConfigurationError for a configuration that means nothing.
    """
    subject = Subject.of(config, rounds)
    findings = [check(subject) for check in CHECKS]
    if ledger is not None:
        disclosed = _disclosed(config, ledger)
        findings += [check(subject, disclosed) for check in RUN_CHECKS]
        findings += [history.noisy_sums(subject, disclosed)] if any(one.release for one in disclosed) else []
    drawn = curves(subject)
    if empirical:
        findings += [sampler(subject, seed=seed), attacker(subject)]
        drawn["attacker"] = attacker_curve(subject)
    return _assembled(subject, findings, drawn, accept)


def _disclosed(config: Config, ledger: SqliteDisclosures) -> list[Disclosure]:
    """The rounds of a ledger whose runs claimed as configured."""
    for run in ledger.runs():
        if from_table(run.settings).response != config.response:
            raise ConfigurationError(
                f"--ledger: its run {run.number} claimed with {from_table(run.settings).privacy.response}, and "
                f"privacy.response is {config.privacy.response}; audit it under its own settings"
            )
    disclosed = list(ledger)
    if not disclosed:
        raise ConfigurationError("--ledger: no round is recorded in it; name the ledger of a run")
    return disclosed


def _assembled(
    subject: Subject, findings: Sequence[Finding], drawn: dict[str, Curve], accept: Collection[str]
) -> Audit:
    """Findings to an audit: what was accepted, the verdict and the first line."""
    known = {finding.id for finding in findings}
    for name in accept:
        if name not in known:
            raise ConfigurationError(f"--accept: there is no finding {name!r}; use one of {', '.join(sorted(known))}")
    told = tuple(_accepted(finding) if finding.id in accept else finding for finding in findings)
    used = sorted({figure.formula for finding in told for figure in finding.all_figures})
    return Audit(
        headline=headline(subject),
        verdict=worst(told),
        findings=told,
        rounds=subject.rounds,
        population=subject.population.describe(),
        settings=subject.config.settings(),
        curves=drawn,
        formulas={name: (FORMULAS[name].text, FORMULAS[name].source) for name in used},
        certificate=certificate(subject),
        version=__version__,
    )


def _accepted(finding: Finding) -> Finding:
    """A warning can be accepted, a failure cannot. Raises ConfigurationError."""
    if finding.verdict == "fail":
        raise ConfigurationError(f"--accept: {finding.id} fails; a failure cannot be accepted, only changed")
    return msgspec.structs.replace(finding, accepted=True)


def headline(subject: Subject) -> str:
    """The first line, for people."""
    how, size = subject.config.response, subject.population.typical_set
    ever = how.loss_ever()
    return (
        f"an index: eps {_text(how.epsilon_round())} this round, {_text(ever.epsilon)} ever, from the claims alone; "
        f"a set of {size}: {_text(ever.set_level(size, 0), 1)}; {_sums(subject)}"
    )


def _sums(subject: Subject) -> str:
    release = subject.release
    if release is None:
        return "aggregates: unbounded without central noise"
    rounds = f"{subject.rounds} rounds" if subject.rounds > 1 else "a round"
    return f"sums: {_text(release.renyi(subject.delta))} a client after {rounds}, at delta {float(subject.delta):g}"


def _text(epsilon: float, digits: int = 2) -> str:
    return "unbounded" if epsilon == inf else f"{epsilon:.{digits}f}"
