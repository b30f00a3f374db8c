"""Noise in the sums of a round: what all clients agree on, how large one client's share is, and what is released.

Every update lies in a ball. Every client adds Skellam noise to what it uploads, before it is masked: with the shares of
only those honest clients that are sure to be in a sum, each opened number carries the promised variance. Counts carry
none: every client and every claimant counts 1, whatever it holds.

Source: Agarwal, Kairouz, Liu 2021 (arXiv 2110.04995); Kairouz, Liu, Steinke 2021 (arXiv 2102.06387), section 4.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from math import isqrt, sqrt
from typing import Annotated

import msgspec

import dp
from dp.samplers import MAX_RATE
from securefl.errors import ConfigurationError
from securefl.secagg.quantize import Quantization
from securefl.wire import Message

__all__ = ["UpdateNoise"]


class UpdateNoise(Message, frozen=True):
    """The ball that holds an update, and the noise that hides where in it; both in steps of the quantization."""

    radius: Annotated[int, msgspec.Meta(ge=1, le=1 << 24)]
    """L2 norm at most of all integers of one client together, dense and rows, after rounding."""
    variance: Annotated[int, msgspec.Meta(ge=1, le=1 << 38)]
    """Of the noise in every opened number, at least."""

    @property
    def multiplier(self) -> float:
        """Deviation over radius."""
        return sqrt(self.variance) / self.radius

    def share(self, honest: int) -> dp.Skellam:
        """What one client adds to a number, if `honest` such shares are sure to be in its sum."""
        return dp.Skellam(Fraction(self.variance, honest))

    def release(self, numbers: int) -> dp.Release:
        """What a round releases of one client, of a model with so many shared numbers.

        Neighbours: the same cohort and claims, one client's update replaced by any other in the ball. It moves the sum
        by 2 radius at most; and by the square of that in L1, since integers are no larger than their squares.
        """
        moved = 2 * self.radius
        l1 = min(moved * (isqrt(numbers) + 1), moved**2)
        return dp.Release(
            dp.Skellam(Fraction(self.variance)), dp.Sensitivity(Fraction(l1), Fraction(moved**2), numbers)
        )

    def check(
        self, clients: int, honest: tuple[int, int], quantizations: Iterable[Quantization], ring_bits: int
    ) -> None:
        """Raise `ConfigurationError` for noise that cannot be drawn, hides nothing or could wrap.

        `honest`: shares that are sure in a sum of dense numbers, and in one of a row.
        """
        fewest = min(honest)
        if fewest < 1:
            raise ConfigurationError(
                f"noise: no honest share is sure in a row; raise the row floor by {1 - fewest} or more"
            )
        if self.variance > 2 * MAX_RATE * fewest:
            wide = self.variance // fewest
            raise ConfigurationError(
                f"noise: a share of variance {wide} is too wide to draw; use fewer quantization bits"
            )
        reach = self.share(fewest).times(clients).reach
        for how in quantizations:
            if how.weight_max != 1:
                raise ConfigurationError(f"noise: every client counts alike; use weight_max=1, not {how.weight_max}")
            largest = clients * ((1 << how.bits) - 1) + 2 * reach
            if largest >= 1 << ring_bits:
                raise ConfigurationError(
                    f"ring_bits: {ring_bits} do not carry {clients} clients and their noise, up to {reach}; "
                    f"use ring_bits={largest.bit_length()}"
                )
