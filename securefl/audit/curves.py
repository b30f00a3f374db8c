"""What an audit draws: each curve is computed here, so that a page only has to draw it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import inf

import dp
from securefl.audit.claims import fresh_epsilon
from securefl.audit.collusion import adversary, is_safe, shares_of
from securefl.audit.findings import Curve
from securefl.audit.subject import Subject
from securefl.secagg.finder import FailureExponents, failure_exponents

__all__ = ["curves"]

ROUNDS, POINTS, DEGREES = 20, 41, 24
ODDS = tuple(Fraction(sixteenths, 16) for sixteenths in (9, 10, 11, 12, 13, 14, 15))
"""p of the paper's family p, 1 - p, p, 1 - p."""


def curves(subject: Subject) -> dict[str, Curve]:
    """By name; one that has no points is left out."""
    drawn = {
        "epsilon_rounds": _epsilon_rounds(subject),
        "delta_epsilon": _delta_epsilon(subject),
        "row_anonymity": _row_anonymity(subject),
        "degree_threshold": _degree_threshold(subject),
        "bytes_privacy": _bytes_privacy(subject),
    }
    return {name: curve for name, curve in drawn.items() if curve is not None}


def _epsilon_rounds(subject: Subject) -> Curve | None:
    """Epsilon of an index over rounds: memoised, ever, and with answers drawn anew."""
    how = subject.config.response
    ever = float(how.epsilon_ever())
    if not 0 < ever < inf:
        return None
    last = max(ROUNDS, min(subject.rounds, 1000))
    rounds = sorted({round(1 + (last - 1) * i / POINTS) for i in range(POINTS + 1)})
    return Curve(
        x=tuple(map(float, rounds)),
        y={
            "memoised": tuple(float(how.epsilon_rounds(r)) for r in rounds),
            "ever": (ever,) * len(rounds),
            "drawn anew": tuple(fresh_epsilon(how, r) for r in rounds),
        },
        marks={"planned": (float(subject.rounds), float(how.epsilon_rounds(min(subject.rounds, dp.MAX_ROUNDS))))},
    )


def _delta_epsilon(subject: Subject) -> Curve | None:
    """Delta of an index's claims over epsilon: one round, and the planned ones."""
    how = subject.config.response
    ever = float(how.epsilon_ever())
    if ever <= 0:
        return None
    x = tuple(min(ever, 6.0) * 1.05 * i / (POINTS - 1) for i in range(POINTS))
    planned = min(subject.rounds, 100)
    y = {f"{r} rounds" if r > 1 else "1 round": how.pair(r) for r in sorted({1, planned})}
    return Curve(x=x, y={name: tuple(float(pair.delta(e)) or None for e in x) for name, pair in y.items()})


def _row_anonymity(subject: Subject) -> Curve:
    """Over the holders of an index: does its row go up, is its sum one client's update, is a claimant a holder?"""
    config, how = subject.config, subject.config.response
    n, floor = config.cohort.clients, config.row_floor_of(config.cohort.clients)
    most = min(n, 40)
    holders = sorted({*range(1, min(most, 16) + 1), *range(18, most + 1, 4)})
    claimants = [how.q1 * k + (n - k) * how.q0 for k in holders]
    return Curve(
        x=tuple(map(float, holders)),
        y={
            "the row goes up": tuple(float(dp.row_goes_up(how, n, k, floor)) for k in holders),
            "its sum is one client's update": tuple(float(dp.lone_contribution(how, k)) for k in holders),
            "a claimant is a holder": tuple(
                float(k * how.q1 / all_of) if all_of else None for k, all_of in zip(holders, claimants, strict=True)
            ),
        },
    )


def _degree_threshold(subject: Subject) -> Curve | None:
    """For plain sums, over the degree: from which threshold collusion is held off, and up to which sums open."""
    config = subject.config
    n = config.cohort.clients
    if n < 6:
        return None
    step = max(1, (n - 2) // 2 // DEGREES)
    degrees = [*range(2, n - 1, 2 * step), n - 1]
    bands = [_band(subject, k) for k in degrees]
    return Curve(
        x=tuple(map(float, degrees)),
        y={"held off from": tuple(low for low, _ in bands), "opens up to": tuple(high for _, high in bands)},
        marks={"configured": (float(config.degree), float(config.threshold))},
    )


def _band(subject: Subject, k: int) -> tuple[float | None, float | None]:
    """The smallest threshold that meets E1 if E2 is met, and the largest that meets E3; None if there is none."""
    at = {t: _exponents(subject, k, t) for t in (1, k)}

    def first(good: str, low: int, high: int) -> int:
        while low + 1 < high:
            middle = (low + high) // 2
            met = is_met(good, _exponents(subject, k, middle))
            if good == "unmasked":
                low, high = (low, middle) if met else (middle, high)
            else:
                low, high = (middle, high) if met else (low, middle)
        return high if good == "unmasked" else low

    connected = is_met("disconnected", at[k]) and is_met("unmasked", at[k])
    safe = float(first("unmasked", 0, k)) if connected else None
    opens = float(first("aborted", 1, k + 1)) if is_met("aborted", at[1]) else None
    return safe, opens


def is_met(name: str, found: FailureExponents) -> bool:
    """Whether one of E1, E2 and E3 is rare enough."""
    never = FailureExponents(-inf, -inf, -inf)
    return is_safe(replace(never, **{name: getattr(found, name)}))


def _exponents(subject: Subject, k: int, t: int) -> FailureExponents:
    return failure_exponents(subject.config.cohort.clients, k, t, *shares_of(subject.config), adversary(subject.config))


def _bytes_privacy(subject: Subject) -> Curve | None:
    """Bytes of a client and round over what claims reveal ever, for the paper's family of odds p, 1-p, p, 1-p."""
    points = list[tuple[float, float]]()
    for p in ODDS:
        other = subject.changed({"privacy.response": f"{p},{1 - p},{p},{1 - p}"})
        if other.traffic is not None:
            points.append((float(other.config.response.epsilon_ever()), float(other.traffic.total)))
    if not points:
        return None
    ever, traffic = float(subject.config.response.epsilon_ever()), subject.traffic
    marks = {} if traffic is None or ever == inf else {"configured": (ever, float(traffic.total))}
    return Curve(x=tuple(x for x, _ in points), y={"bytes": tuple(y for _, y in points)}, marks=marks)
