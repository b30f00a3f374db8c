"""How well one client's update hides in the sum of a row, and what claimants learn of each other."""

from __future__ import annotations

from fractions import Fraction

import dp
from securefl.audit.findings import Figure, Finding, Verdict
from securefl.audit.subject import Subject

__all__ = ["row_anonymity", "peers"]

MOSTLY_LONE, MOSTLY_OUT = 0.05, 0.1
SHRINKS = 0.01
DENOMINATOR = 10**6


def row_anonymity(subject: Subject) -> Finding:
    """Among whom an update hides: claimants by number, but only those with data by content."""
    config, response = subject.config, subject.config.response
    n, floor, holders = config.cohort.clients, config.row_floor_of(config.cohort.clients), subject.population.holders
    honest = config.row_floor - config.colluders
    lone = float(sum(k * dp.lone_contribution(response, held) for held, k in holders.items()) / sum(holders.values()))
    up = float(dp.expected_share(response, n, {min(held, n): k for held, k in holders.items()}, min(floor, n + 1)))
    shrinks = _shrinks(subject, floor)
    readable = 0.0 if config.noisy else lone
    verdict = _verdict(honest, readable, up, shrinks)
    least = Figure("honest claimants of a row that goes up", honest, "clients", "lower", "row-up")
    share_up = Figure("share of the union's rows that go up", up, "share", "estimate", "row-up")
    claimants = float(response.q1 + (n - 1) * response.q0)
    return Finding(
        id="row-anonymity",
        title="Anonymity of a row",
        verdict=verdict,
        value=least if up else share_up,
        says=_says(honest, lone) + (" The sums carry noise: see central-noise." if config.noisy else "")
        if up
        else f"No row goes up: none reaches {floor} claimants of {n} clients.",
        change=_change(honest, readable, up),
        figures=(
            Figure("row floor with nobody lost", floor, "clients", "exact", "row-up"),
            Figure("claimants of a row with one holder", claimants, "clients", "exact", "rr-claimants"),
            Figure("one holder: the sum is its update", _lone(response), "probability", "exact", "lone"),
            Figure("one holder: a claimant is it", _posterior(response, n), "probability", "exact", "rr-posterior"),
            Figure("a row's sum is one client's update", lone, "share", "estimate", "lone"),
            *([share_up] if up else []),
            Figure("losses leave a row too few claimants", shrinks, "probability", "upper", "row-shrinks"),
        ),
    )  # fmt: skip


def _lone(response: dp.TwoStage) -> float:
    return float(dp.lone_contribution(response, 1))


def _posterior(response: dp.TwoStage, clients: int) -> float:
    """P[a claimant of a row with one holder is that holder]."""
    claimants = response.q1 + (clients - 1) * response.q0
    return float(response.q1 / claimants) if claimants else 0.0


def _shrinks(subject: Subject, floor: int) -> float:
    """Every loss is taken to happen after the upload: nobody can take it back then."""
    config = subject.config
    rate = Fraction(config.cohort.dropout).limit_denominator(DENOMINATOR)
    if not rate or floor > config.cohort.clients:
        return 0.0
    return float(dp.row_shrinks(config.response, config.cohort.clients, 1, floor, config.row_floor, rate))


def _verdict(honest: int, lone: float, up: float, shrinks: float) -> Verdict:
    if honest < 2 or not up:
        return "fail"
    return "warn" if lone > MOSTLY_LONE or up < MOSTLY_OUT or shrinks > SHRINKS else "pass"


def _says(honest: int, lone: float) -> str:
    if honest < 2:
        return (
            "A row that one honest client claims goes up by itself: its sum is that client's update, and its name "
            f"stands beside it. {lone:.0%} of all sums hold the update of one client."
        )
    return (
        f"A row goes up with {honest} honest claimants or more, but fillers add zeros: {lone:.0%} of the sums hold the "
        "update of one client alone. Whose it is stays deniable; what it is does not. A count equal to a client's own "
        "tells it that all others were fillers."
    )


def _change(honest: int, lone: float, up: float) -> tuple[str, ...]:
    change = list[str]()
    if honest < 2:
        change.append("privacy.honest_claimants: use 5 or more")
    if up < MOSTLY_OUT:
        change.append("privacy.honest_claimants: lower it, or invite more clients: few rows go up")
    if lone > MOSTLY_LONE:
        change.append("privacy.noise_multiplier: noise on the row sums; or cohorts whose items overlap more")
    return tuple(change)


def peers(subject: Subject) -> Finding:
    """What clients that claim a row learn of the others that do."""
    config, response = subject.config, subject.config.response
    n, c = config.cohort.clients, config.colluders
    seen = float(1 - (1 - response.q0) ** c)
    loss = response.loss_rounds(1)
    finite = loss.epsilon < float("inf")
    return Finding(
        id="peers",
        title="Claimant lists seen by peers",
        verdict="pass" if finite else "fail",
        value=Figure.of("epsilon of one claim, to those who see it", loss.epsilon, loss.witness.event),
        says=f"Whoever claims a row is told who else does: about {float(response.q1 + (n - 1) * response.q0):.0f} of "
        f"{n} clients, if one holds it. "
        + (f"Of {c} colluders without it one claims it with probability {seen:.2g}. To them a" if c else "To them a")
        + " claim is as deniable as to the server.",
        change=() if finite else ("privacy.response: use odds that leave doubt, such as 7/8",),
        figures=(Figure("a colluder without the item sees the list", seen, "probability", "exact", "rr-claimants"),),
    )
