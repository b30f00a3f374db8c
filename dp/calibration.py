"""The least noise that keeps a promise."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from dp.errors import PrivacyError
from dp.noise import Law
from dp.release import Release
from dp.renyi import Sensitivity
from dp.samplers import MAX_PARAMETER

__all__ = ["GRID", "calibrate"]

GRID = Fraction(1, 64)
"""Parameters are tried in multiples of this."""


def calibrate(
    law: Callable[[Fraction], Law],
    sensitivity: Sensitivity,
    epsilon: float,
    delta: Fraction,
    rounds: int = 1,
    method: Callable[[Release, Fraction], float] = Release.renyi,
    grid: Fraction = GRID,
) -> Fraction:
    """The smallest multiple of `grid` for which `rounds` releases with noise `law(multiple)` cost `epsilon` at most.

    `law` makes noise of a variance or scale, e.g. `Skellam`, or `lambda s2: DiscreteGaussian(s2, shares)` for the
    sigma^2 of one of `shares` shares. `method` is `Release.renyi`, `Release.exact` or `Release.composed`, which must
    fall as the noise grows: doubling finds a multiple that is enough, bisection the least one.
    Raises PrivacyError if no parameter up to 2^38 is enough.
    """
    if not epsilon > 0:
        raise PrivacyError(f"epsilon={epsilon} must be above 0")

    def enough(multiple: int) -> bool:
        return method(Release(law(multiple * grid), sensitivity, rounds), delta) <= epsilon

    high = 1
    while not enough(high):
        high *= 2
        if high * grid > MAX_PARAMETER:
            raise PrivacyError(f"epsilon={epsilon} takes more noise than can be drawn; allow more, or clip to less")
    low = high // 2
    while low + 1 < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high * grid
