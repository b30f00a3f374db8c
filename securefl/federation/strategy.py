"""What a client's update weighs in a sum, and how per-row sums and counts change the model.

The sums may be opened from under masks or added in clear: `RoundSums` are the same integers either way, so are models.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from securefl.errors import ConfigurationError
from securefl.federation.heat import Heat, RunningHeat
from securefl.models import LocalUpdate
from securefl.submodel import Quantization, RoundSums, SubmodelPlan, dequantize

__all__ = ["FedAvg", "FedProx", "FedSubAvg", "RowStrategy", "SubmodelAvg", "strategy_of"]

Weights = tuple[int, Mapping[str, NDArray[np.int64]]]
"""Of the dense vector, and by table of each row that training touched, (R,)."""
Weigh = Callable[[LocalUpdate], Weights]
State = dict[str, NDArray[np.int64]]


class RowStrategy(Protocol):
    """A rule of training on submodels. A client sends weight times delta, and the weight, of each row it touched."""

    @staticmethod
    def weigh(update: LocalUpdate) -> Weights:
        """What the parts of a client's update weigh: whole numbers from 0."""

    def apply(
        self, dense: NDArray[np.float32], tables: Mapping[str, NDArray[np.float32]], sums: RoundSums
    ) -> NDArray[np.float32]:
        """Change `tables` in place and return the new dense vector."""

    @property
    def state(self) -> State:
        """What the rule remembers, for a checkpoint: live arrays by name, restored by writing into them."""


@dataclass(frozen=True, slots=True)
class _Averaging:
    """Both quantizations are the round's."""

    rows: Quantization
    dense: Quantization

    @property
    def state(self) -> State:
        """Nothing is remembered."""
        return {}

    def _mean(self, dense: NDArray[np.float32], sums: RoundSums) -> NDArray[np.float32]:
        """The dense vector, moved by the weighted mean of the deltas; as it was if nobody trained."""
        if sums.dense_count <= 0:
            return dense
        return dense + (dequantize(sums.dense, self.dense) / sums.dense_count).astype(np.float32)


@dataclass(frozen=True, slots=True)
class SubmodelAvg(_Averaging):
    """The paper's rule: w_j += sum_u(n_uj delta_uj) / sum_u(n_uj), row by row; unchanged where the count is 0.

    Source: Niu et al., arXiv 1911.02254, section 4.
    """

    @staticmethod
    def weigh(update: LocalUpdate) -> Weights:
        """A row weighs the samples that involve it, the dense vector all samples."""
        return update.samples, {name: rows.counts for name, rows in update.rows.items()}

    def apply(
        self, dense: NDArray[np.float32], tables: Mapping[str, NDArray[np.float32]], sums: RoundSums
    ) -> NDArray[np.float32]:
        """See `RowStrategy`."""
        for name, opened in sums.tables.items():
            known = opened.counts > 0
            mean = dequantize(opened.sums[known], self.rows) / opened.counts[known, None]
            tables[name][opened.indices[known]] += mean.astype(np.float32)
        return self._mean(dense, sums)


@dataclass(frozen=True, slots=True)
class FedAvg(_Averaging):
    """The conventional rule: w += sum_u(n_u delta_u) / sum_u(n_u), the same denominator for every row.

    Who did not touch a row counts as a delta of 0 there, so rows that few clients involve hardly move. Meant for sums
    over the full model; on submodels it is that baseline without its cost. Source: McMahan et al., AISTATS 2017.
    """

    @staticmethod
    def weigh(update: LocalUpdate) -> Weights:
        """Everything weighs all samples of the client."""
        return update.samples, {name: np.full(r.indices.size, update.samples) for name, r in update.rows.items()}

    def apply(
        self, dense: NDArray[np.float32], tables: Mapping[str, NDArray[np.float32]], sums: RoundSums
    ) -> NDArray[np.float32]:
        """See `RowStrategy`."""
        if sums.dense_count > 0:
            for name, opened in sums.tables.items():
                mean = dequantize(opened.sums, self.rows) / sums.dense_count
                tables[name][opened.indices] += mean.astype(np.float32)
        return self._mean(dense, sums)


@dataclass(frozen=True, slots=True)
class FedProx(FedAvg):
    """`FedAvg` of clients that are pulled back to the model they started from: the pull is the model's `proximal`.

    Source: Li et al., MLSys 2020.
    """


@dataclass(frozen=True, slots=True)
class FedSubAvg(_Averaging):
    """w_m += N / (K n_m) sum_u(delta_um): the mean over the cohort, divided by the row's heat n_m / N.

    K are the clients in the sum. All clients involve the dense vector: it moves by the mean of those that trained.
    Source: Ding et al., NeurIPS 2022, "Federated Submodel Optimization for Hot and Cold Data Features".
    """

    heat: Heat

    @staticmethod
    def weigh(update: LocalUpdate) -> Weights:
        """Everything weighs 1: the counts of a sum are its contributors."""
        ones = {name: np.ones(rows.indices.size, np.int64) for name, rows in update.rows.items()}
        return min(1, update.samples), ones

    @property
    def state(self) -> State:
        """See `RowStrategy`."""
        return self.heat.state

    def apply(
        self, dense: NDArray[np.float32], tables: Mapping[str, NDArray[np.float32]], sums: RoundSums
    ) -> NDArray[np.float32]:
        """See `RowStrategy`. The heat learns from the sums first."""
        self.heat.observe(sums)
        for name, opened in sums.tables.items():
            expected = len(sums.survivors) * self.heat.share(name, opened.indices)
            step = dequantize(opened.sums, self.rows) / expected[:, None]
            tables[name][opened.indices] += step.astype(np.float32)
        return self._mean(dense, sums)


def strategy_of(name: str, plan: SubmodelPlan) -> RowStrategy:
    """A fresh strategy by its name for the rounds of a plan; FedSubAvg with a running heat. ConfigurationError."""
    how = plan.row_quantization, plan.dense_quantization
    match name:
        case "SubmodelAvg":
            return SubmodelAvg(*how)
        case "FedAvg":
            return FedAvg(*how)
        case "FedProx":
            return FedProx(*how)
        case "FedSubAvg":
            return FedSubAvg(*how, RunningHeat({table.name: table.rows for table in plan.tables}))
    raise ConfigurationError(f"strategy: {name!r} is none; use SubmodelAvg, FedAvg, FedProx or FedSubAvg")
