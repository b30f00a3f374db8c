"""DIN (Zhou et al. 2018) as a submodel learner trains it: a client has only the rows of its own items."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import ClassVar

import numpy as np

from . import network
from .clickmodel import ClickModel
from .descent import Network
from .layers import Floats


@dataclass(frozen=True, eq=False)
class DIN(ClickModel):
    """Deep Interest Network, shape of Niu et al. 2019 section 5, with private user embeddings; D = 64,327 at width 18.

    The defaults were chosen so that plain federated submodel averaging learns in few rounds of 100 clients: category
    rows start wide apart, so that target * history shows from the start whether categories match.
    """

    network: ClassVar[Network] = network
    deviations: ClassVar[tuple[float, float]] = (0.05, 0.5)

    def _fill(self, parameters: dict[str, Floats], rng: np.random.Generator) -> None:
        """Glorot-uniform matrices, gamma 1, all else 0; the last layer too is 0."""
        for name, view in parameters.items():
            if name == "norm.gamma":
                view[...] = 1
            elif view.ndim == 2 and name != "fc3.w":
                limit = sqrt(6 / sum(view.shape))
                view[...] = rng.uniform(-limit, limit, view.shape)
