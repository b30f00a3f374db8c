"""A server that guesses who holds what, from claims alone and from claims and totals together, on drawn cohorts.

The game of the bound: an index of the union and a client that holds it or does not, equally likely. From the claims
the guess is the likelier of both. Totals add certainty: where a row's count is zero, whoever claimed it holds nothing;
where it is not, and all other claimants are ruled out, the last one is the holder. A client counts where it holds and
claims.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

import dp
from securefl.audit.findings import Curve, Figure, Finding
from securefl.audit.subject import Subject
from securefl.datasets import ClickLog

__all__ = ["ROUNDS", "Guesses", "guesses", "attacker", "attacker_curve"]

ROUNDS = 10
COHORTS = 3
RESPONSES = ("3/4", "7/8", "15/16", "none", "union")
SIGMAS = 4.0

Claims = NDArray[np.bool_]


@dataclass(frozen=True)
class Guesses:
    """How often a guess was right, held and not held weighted alike."""

    response: dp.TwoStage
    rounds: int
    bound: float
    """The best guess from claims alone: exact."""
    claims: float
    """Measured, from claims alone."""
    totals: float
    """Measured, from claims and totals."""
    trials: int
    """Pairs of a client and an index it holds; those it does not hold are more."""

    @property
    def margin(self) -> float:
        """What chance may add to a measured rate."""
        return SIGMAS * sqrt(self.bound * (1 - self.bound) / self.trials) + 1 / self.trials


def guesses(
    log: ClickLog, clients: int, floor: int, how: dp.TwoStage, *, rounds: int = ROUNDS, cohorts: int = COHORTS
) -> Guesses:
    """Play the game on `cohorts` drawn cohorts, each through `rounds` rounds. The draw is always the same."""
    rng = np.random.default_rng(0)
    law = how.pair(rounds)
    likelier = np.array([a >= b for a, b in zip(law.held, law.absent, strict=True)])
    scores = []
    for _ in range(cohorts):
        held = _held(log, rng.choice(log.users, clients, replace=False))
        claims = _claims(held, how, rounds, rng)
        from_claims = likelier[claims.sum(axis=0)]
        scores.append((held.sum(), _rate(from_claims, held), _rate(_corrected(from_claims, claims, held, floor), held)))
    trials, alone, totals = zip(*scores, strict=True)
    return Guesses(
        how, rounds, float(law.guess_rate()), float(np.mean(alone)), float(np.mean(totals)), int(np.sum(trials))
    )


def _held(log: ClickLog, users: NDArray[np.int64]) -> Claims:
    """Who holds which index of their union, bool (clients, union)."""
    sets = [log.index_set(int(user)) for user in users]
    union = np.unique(np.concatenate(sets))
    return np.stack([np.isin(union, own, assume_unique=True) for own in sets])


def _claims(held: Claims, how: dp.TwoStage, rounds: int, rng: np.random.Generator) -> Claims:
    """Memoised claims, bool (rounds, clients, union). A simulation: floats will do."""
    p1, p2, p3, p4 = map(float, (how.p1, how.p2, how.p3, how.p4))
    permanent = rng.random(held.shape) < np.where(held, p1, p2)
    return rng.random((rounds, *held.shape)) < np.where(permanent, p3, p4)


def _corrected(guess: Claims, claims: Claims, held: Claims, floor: int) -> Claims:
    """The guess, overruled where totals prove one thing or the other."""
    up = claims.sum(axis=1) >= floor
    counted = (claims & held).any(axis=1)
    ruled_out = (claims & (up & ~counted)[:, None, :]).any(axis=0)
    suspects = claims & ~ruled_out & (up & counted)[:, None, :]
    proved = (suspects & (suspects.sum(axis=1) == 1)[:, None, :]).any(axis=0)
    corrected: Claims = (guess & ~ruled_out) | proved
    return corrected


def _rate(guess: Claims, held: Claims) -> float:
    """How often the guess is right, held and not held weighted alike."""
    return float(guess[held].mean() + (~guess[~held]).mean()) / 2


def attacker(subject: Subject) -> Finding:
    """Guesses under the configured response, and under the others for comparison."""
    own, others = _played(subject, subject.config.response), _others(subject)
    broken, more = own.claims > own.bound + own.margin, own.totals > own.bound + own.margin
    return Finding(
        id="attacker",
        title="A server that guesses",
        verdict="fail" if broken else "warn" if more else "pass",
        value=_figure("a guess is right, claims and totals", own.totals),
        says=f"Played on drawn cohorts, {own.rounds} rounds, held and not held equally likely: from claims a server is "
        f"right with probability {own.claims:.3f}, from claims and totals with {own.totals:.3f}. For claims alone "
        f"the bound is {own.bound:.3f}" + ("; totals tell more than it covers." if more else "."),
        change=(
            "privacy.noise_multiplier: noise on sums, and no counts",
            "larger cohorts, so that rows have more holders",
        )
        if more
        else (),
        figures=(
            _figure("a guess is right, claims alone", own.claims),
            Figure("the bound for claims alone", own.bound, "probability", "exact", "rr-guess"),
            *(_figure(f"{name}: claims and totals", played.totals) for name, played in others.items()),
        ),
    )


def attacker_curve(subject: Subject) -> Curve:
    """Guesses over what claims reveal in as many rounds; responses without doubt are left out."""
    played = [one for one in _others(subject).values() if 0 < one.response.epsilon_rounds(one.rounds) < 100]
    return Curve(
        x=tuple(float(one.response.epsilon_rounds(one.rounds)) for one in played),
        y={
            "bound for claims": tuple(one.bound for one in played),
            "from claims": tuple(one.claims for one in played),
            "from claims and totals": tuple(one.totals for one in played),
        },
    )


def _played(subject: Subject, how: dp.TwoStage) -> Guesses:
    n = subject.config.cohort.clients
    return guesses(subject.population.log, n, subject.config.row_floor_of(n), how)


def _others(subject: Subject) -> dict[str, Guesses]:
    return {name: _played(subject, dp.TwoStage.parse(name)) for name in RESPONSES}


def _figure(name: str, rate: float) -> Figure:
    return Figure(name, rate, "probability", "estimate", "guess-rate")
