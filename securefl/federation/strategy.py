"""How per-row sums and counts change the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from securefl.submodel import Quantization, RoundSums, dequantize


@dataclass(frozen=True, slots=True)
class SubmodelAvg:
    """The paper's rule: w_j += sum_u(n_uj delta_uj) / sum_u(n_uj), row by row; unchanged where the count is 0.

    Source: Niu et al., arXiv 1911.02254, section 4. Both quantizations are the round's.
    """

    rows: Quantization
    dense: Quantization

    def apply(
        self, dense: NDArray[np.float32], tables: Mapping[str, NDArray[np.float32]], sums: RoundSums
    ) -> NDArray[np.float32]:
        """Change `tables` in place and return the new dense vector."""
        for name, opened in sums.tables.items():
            known = opened.counts > 0
            mean = dequantize(opened.sums[known], self.rows) / opened.counts[known, None]
            tables[name][opened.indices[known]] += mean.astype(np.float32)
        if sums.dense_count <= 0:
            return dense
        return dense + (dequantize(sums.dense, self.dense) / sums.dense_count).astype(np.float32)
