"""Logistic regression on click logs, trained like DIN on the rows a client holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from securefl.errors import ConfigurationError

from . import linear
from .clickmodel import ClickModel
from .descent import Network
from .layers import Floats


@dataclass(frozen=True, eq=False)
class LogisticRegression(ClickModel):
    """Weights of target, history, their categories, user and length of the history: `linear` says which. D = 2."""

    width: int = linear.WIDTH
    """A weight as target, and one in a history: nothing else."""
    network: ClassVar[Network] = linear
    deviations: ClassVar[tuple[float, float]] = (0.0, 0.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width != linear.WIDTH:
            raise ConfigurationError(f"`width` is {self.width}; logistic regression has rows of {linear.WIDTH} numbers")

    def _fill(self, parameters: dict[str, Floats], rng: np.random.Generator) -> None:
        """All 0: the loss is convex."""
