"""What claims reveal about an index and about a whole set: now, after the planned rounds, and ever."""

from __future__ import annotations

from fractions import Fraction
from math import inf

import numpy as np
from numpy.typing import NDArray

import dp
from securefl.audit.findings import Figure, Finding, Verdict
from securefl.audit.subject import Subject

__all__ = ["response", "budget", "fresh_epsilon", "lost_epsilon"]

STRONG, WEAK = 2.0, 4.0
"""Epsilon of an index, ever: pass up to e^2 in the odds, fail above e^4."""

PLAIN = 1000
"""By so many rounds the permanent answer is plain, and a guess gets no better."""


def judged(epsilon: float) -> Verdict:
    """The verdict on an index's epsilon."""
    return "pass" if epsilon <= STRONG else "warn" if epsilon <= WEAK else "fail"


def response(subject: Subject) -> Finding:
    """Exact epsilons of the configured response."""
    how, rounds = subject.config.response, min(subject.rounds, dp.MAX_ROUNDS)
    now, planned, ever = how.loss_rounds(1), how.loss_rounds(rounds), how.loss_ever()
    size = subject.population.typical_set
    verdict = judged(ever.epsilon)
    return Finding(
        id="response",
        title="Randomized response of claims",
        verdict=verdict,
        value=_of("epsilon of an index, ever", ever),
        says=_says(ever.epsilon, size, _guess(how, rounds).value),
        change=() if verdict == "pass" else ("privacy.response: use 7/8 (1.95 ever) or 3/4 (1.10 ever)",),
        figures=(
            _of("epsilon of an index, this round", now),
            *([_of(f"epsilon of an index, {rounds} rounds", planned)] if rounds > 1 else []),
            Figure.of(f"epsilon of a set of {size}, this round", now.set_level(size, 0), now.witness.event),
            Figure.of(f"epsilon of a set of {size}, ever", ever.set_level(size, 0), ever.witness.event),
            Figure.of("epsilon of one index exchanged for another, this round", now.set_level(1, 1), now.witness.event),
            *(_guess(how, r) for r in sorted({1, rounds})),
            Figure("attacker's guess rate, ever", _guess_ever(how), "probability", "exact", "rr-guess"),
        ),
    )  # fmt: skip


def _of(name: str, loss: dp.Loss) -> Figure:
    return Figure.of(name, loss.epsilon, loss.witness.event)


def _guess(how: dp.TwoStage, rounds: int) -> Figure:
    rounds = min(rounds, PLAIN)
    rate = float(how.pair(rounds).guess_rate())
    return Figure(f"attacker's guess rate, {_times(rounds)}", rate, "probability", "exact", "rr-guess")


def _guess_ever(how: dp.TwoStage) -> float:
    """From the permanent answer itself, if claims depend on it."""
    if how.p3 == how.p4:
        return 0.5
    return float(max(how.p1, how.p2) + max(1 - how.p1, 1 - how.p2)) / 2


def _times(rounds: int) -> str:
    return f"{rounds} rounds" if rounds > 1 else "this round"


def _says(ever: float, size: int, guess: float) -> str:
    if ever == inf:
        return "Some claim proves what a client holds: these odds leave no doubt."
    return (
        f"However often a client claims, the odds that it holds an index change by e^{ever:.2f} at most. A whole set "
        f"of {size} is another matter: its losses add up to {size * ever:.1f}. After the planned rounds a guess "
        f"between held and not is right with probability {guess:.2f}."
    )


def budget(subject: Subject) -> Finding:
    """What memory saves over rounds, and what losing it costs."""
    how, rounds = subject.config.response, min(subject.rounds, dp.MAX_ROUNDS)
    memoised = how.loss_rounds(rounds)
    fresh, lost = fresh_epsilon(how, rounds), lost_epsilon(how, rounds)
    ever, twice = how.loss_ever(), 2 * float(how.epsilon_ever())
    verdict = judged(memoised.epsilon)
    return Finding(
        id="budget",
        title="Budget over rounds",
        verdict=verdict,
        value=_of(f"epsilon of an index after {rounds} rounds, memoised", memoised),
        says=f"Permanent answers are kept for ever, so {rounds} rounds cost {_text(memoised.epsilon)} and not "
        f"{_text(fresh)}. A client that loses them once pays up to {_text(lost)}. A claim counts when it is sent, "
        "also if the round then fails.",
        change=() if verdict == "pass" else ("privacy.response: choose lower odds", "cohort.rounds: plan fewer"),
        figures=(
            Figure(f"{rounds} rounds without memory", fresh, "nats", "exact", "rr-fresh", _witness(fresh, how)),
            Figure(f"{rounds} rounds, memory lost once", lost, "nats", "exact", "rr-lost", _witness(lost, how)),
            Figure("memory lost once, ever", twice, "nats", "upper", "rr-lost", _witness(twice, how)),
            Figure.of("memory keyed by the truth, one change, ever", how.epsilon_truths(1), ever.witness.event),
        ),
    )  # fmt: skip


def fresh_epsilon(how: dp.TwoStage, rounds: int) -> float:
    """Epsilon of `rounds` claims with answers drawn anew: losses add up."""
    return rounds * float(how.epsilon_round())


def lost_epsilon(how: dp.TwoStage, rounds: int) -> float:
    """Epsilon of `rounds` claims if the memory is lost at the worst moment: two permanent answers, independent."""
    if how.epsilon_rounds(rounds) == inf:
        return inf
    after = np.concatenate([np.zeros((2, 1)), _losses(how, rounds)], axis=1)
    return float((after + after[:, ::-1]).max())


def _losses(how: dp.TwoStage, rounds: int) -> NDArray[np.float64]:
    """e10 and e01 of 1..rounds memoised claims, (2, rounds), in floating point; all of them finite."""
    r = np.arange(1, rounds + 1)
    ones, zeros = ([_log_mixture(p, *stage, r) for p in (how.p1, how.p2)] for stage in _stages(how))
    with np.errstate(invalid="ignore"):
        ratios = np.nan_to_num(np.stack([ones[0] - ones[1], zeros[0] - zeros[1]]))  # an impossible event says nothing
    return np.stack([ratios.max(axis=0), (-ratios).max(axis=0)])


def _stages(how: dp.TwoStage) -> tuple[tuple[Fraction, Fraction], tuple[Fraction, Fraction]]:
    """P[claim] and P[no claim], after a true and after a false permanent answer."""
    return (how.p3, how.p4), (1 - how.p3, 1 - how.p4)


def _log_mixture(p: Fraction, yes: Fraction, no: Fraction, r: NDArray[np.int64]) -> NDArray[np.float64]:
    """ln (p yes^r + (1 - p) no^r)."""
    with np.errstate(divide="ignore"):
        weights = np.log([float(p), float(1 - p)]), np.log([float(yes), float(no)])
    mixed: NDArray[np.float64] = np.logaddexp(weights[0][0] + r * weights[1][0], weights[0][1] + r * weights[1][1])
    return mixed


def _witness(value: float, how: dp.TwoStage) -> str | None:
    return how.loss_ever().witness.event if value == inf else None


def _text(epsilon: float) -> str:
    return "no finite epsilon" if epsilon == inf else f"{epsilon:.2f}"
