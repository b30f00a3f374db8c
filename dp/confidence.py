"""What trials prove: Clopper-Pearson bounds of a probability, and the epsilon that a sampler has at least."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from gmpy2 import comb, mpfr, mpq, mpz  # type: ignore[import-untyped]  # ships no annotations

from dp.bounds import Bound
from dp.errors import PrivacyError
from dp.rounding import arithmetic, log

__all__ = ["MAX_TRIALS", "GRID", "probability_at_least", "probability_at_most", "epsilon_at_least"]

MAX_TRIALS = 10**7
GRID = 2**53
"""Bounds of a probability are multiples of 1/GRID."""
BITS = 96
CUT = 2.0**-64
"""Share of a tail below which the rest is bounded by a geometric series instead of being summed."""


def probability_at_least(successes: int, trials: int, alpha: Fraction) -> Fraction:
    """A lower bound of p after `successes` of `trials`, wrong with probability `alpha` at most (Clopper, Pearson 1934).

    The largest multiple of 1/GRID with P[Binomial(trials, p) >= successes] <= alpha; the tail is rounded up, so the
    bound is on the safe side. 1 <= trials <= MAX_TRIALS, 0 < alpha <= 1/2. Raises PrivacyError.
    """
    if not 1 <= trials <= MAX_TRIALS or not 0 <= successes <= trials:
        raise PrivacyError(f"{successes} of {trials} trials: trials must be 1 to {MAX_TRIALS}, successes 0 to trials")
    if not 0 < alpha <= Fraction(1, 2):
        raise PrivacyError(f"alpha={alpha} must be above 0 and at most 1/2")
    low, high = 0, -(-successes * GRID // trials)
    ways, limit = comb(trials, successes), mpq(alpha)
    while low + 1 < high:
        middle = (low + high) // 2
        low, high = (middle, high) if _tail(trials, successes, middle, ways) <= limit else (low, middle)
    return Fraction(low, GRID)


def probability_at_most(successes: int, trials: int, alpha: Fraction) -> Fraction:
    """An upper bound of p, as `probability_at_least` of the failures."""
    return 1 - probability_at_least(trials - successes, trials, alpha)


def epsilon_at_least(
    hits: tuple[int, int], false_alarms: tuple[int, int], alpha: Fraction, delta: Fraction = Fraction(0)
) -> Bound:
    """A lower bound of epsilon from an attack, wrong with probability `alpha` at most, in nats.

    `hits` and `false_alarms` are (how often, of how many trials) an event was seen when an index was held and when it
    was not: P[event | held] <= e^epsilon P[event | not held] + delta (Jagielski, Ullman, Oprea 2020). Half of alpha
    goes to each side; 0 where nothing is proved.
    """
    likely = probability_at_least(*hits, alpha / 2) - delta
    unlikely = probability_at_most(*false_alarms, alpha / 2)
    return Bound(max(0.0, log(likely, unlikely, "down")) if likely > 0 else 0.0, "lower", "clopper-pearson")


def _tail(trials: int, successes: int, numerator: int, ways: mpz) -> Any:
    """P[Binomial(trials, numerator / GRID) >= successes] rounded up; 1 where the mean reaches it."""
    yes, no = mpz(numerator), mpz(GRID - numerator)
    if successes * GRID <= trials * numerator:
        return mpfr(1)
    with arithmetic("up", BITS):
        mass = mpfr(ways) * (mpfr(yes) / GRID) ** successes * (mpfr(no) / GRID) ** (trials - successes)
        total = mass
        for k in range(successes, trials):
            ratio = mpfr(mpq((trials - k) * yes, (k + 1) * no))
            if mass * ratio < CUT * total * (1 - ratio):
                return total * (1 + mpfr(CUT))
            mass *= ratio
            total += mass
    return total
