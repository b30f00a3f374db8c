"""What differential privacy of the sums costs: each client's update within a ball, and Skellam noise on every sum."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from fractions import Fraction
from math import isqrt, sqrt

import numpy as np

import dp
from reproduce.clicks import Client, Federated, Indices
from securefl.config import Config
from securefl.datasets import ClickLog
from securefl.federation.strategy import FedAvg, FedSubAvg, Weights
from securefl.models import LocalUpdate
from securefl.submodel import RoundSums

DELTA = Fraction(1, 10**5)


class EqualAvg(FedAvg):
    """Every client weighs 1, and the cohort is the denominator of everything: no count needs to be released."""

    @staticmethod
    def weigh(update: LocalUpdate) -> Weights:
        """See `FedSubAvg.weigh`."""
        return FedSubAvg.weigh(update)


class Noisy(Federated):
    """`Federated` rounds of `EqualAvg` with updates of at most `radius` (L2, all of a client's numbers together).

    `multiplier`: deviation of the noise in a sum over `radius`; 0 for clipping alone. A sum of Skellam shares is
    Skellam, so noise drawn once for a sum is what the honest clients' shares would add up to.
    """

    def __init__(self, config: Config, log: ClickLog, radius: float, multiplier: float) -> None:
        super().__init__(config, log, "FedAvg")
        how = self.plan.row_quantization
        self._strategy = EqualAvg(how, self.plan.dense_quantization)
        self._radius = int(radius / how.clip * how.levels)
        self._unit = how.clip / how.levels
        deviation = Fraction(multiplier).limit_denominator(10**6) * self._radius
        self._noise = dp.Skellam(deviation**2) if multiplier else None
        self.invited = np.zeros(log.users, np.int64)

    @property
    def epsilon(self) -> float:
        """Of the client invited most often, for one of its updates replaced in every round it was in; at `DELTA`.

        The claims, and which rows go up, are accounted elsewhere; so is the release of the union.
        """
        if self._noise is None:
            return float("inf")
        moved = 2 * self._radius  # from anywhere in the ball to anywhere else
        width = self.plan.dense + sum(table.rows * table.width for table in self.plan.tables)
        sensitivity = dp.Sensitivity(Fraction(moved * (isqrt(width) + 1)), Fraction(moved) ** 2, width)
        return float(dp.Release(self._noise, sensitivity, int(self.invited.max())).renyi(DELTA))

    def _sum(
        self,
        number: int,
        clients: list[Client],
        updates: list[LocalUpdate],
        union: Indices,
        claims: Collection[Indices],
    ) -> RoundSums:
        self.invited[[client.user for client in clients]] += 1
        sums = super()._sum(number, clients, [self._clipped(update) for update in updates], union, list(claims))
        sums = replace(sums, dense_count=len(clients))
        if self._noise is None:
            return sums
        rng, noise = self._random.stream("noise", number), self._noise
        tables = {
            name: replace(t, sums=t.sums + noise.sample(t.sums.size, rng).reshape(t.sums.shape))
            for name, t in sums.tables.items()
        }
        return replace(sums, dense=sums.dense + noise.sample(sums.dense.size, rng), tables=tables)

    def _clipped(self, update: LocalUpdate) -> LocalUpdate:
        """The update in the ball, with room for each coordinate's rounding to the next integer."""
        parts = [update.dense, *(rows.deltas for rows in update.rows.values())]
        norm, size = sqrt(sum(float(np.vdot(p, p)) for p in parts)), sum(p.size for p in parts)
        room = (self._radius - sqrt(size) - 1) * self._unit
        scale = np.float32(min(1.0, room / max(norm, room)))
        rows = {name: replace(one, deltas=one.deltas * scale) for name, one in update.rows.items()}
        return replace(update, dense=update.dense * scale, rows=rows)
