"""Who could take part in a round: phones charge at night, sleep by day, and follow their owners."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from securefl.errors import ConfigurationError

__all__ = ["Always", "Alternating", "Availability", "Diurnal", "Trace"]

Mask = NDArray[np.bool_]


class Availability(Protocol):
    """A model of availability over a fixed population."""

    def available(self, number: int) -> Mask:
        """(clients,) bool: who could take part in round `number`, 1-based."""


@dataclass(frozen=True, slots=True)
class Always:
    """Everybody, in every round."""

    clients: int

    def available(self, number: int) -> Mask:
        """All true."""
        del number
        return np.ones(self.clients, np.bool_)


@dataclass(frozen=True, slots=True, eq=False)
class Alternating:
    """Groups take turns: group g for `spans[g]` rounds, then the next, from the first again after the last.

    groups: (clients,) integers below len(spans). Source: Yan et al., arXiv 2002.07399 (FedLaAvg), section 6.
    """

    groups: NDArray[np.integer]
    spans: tuple[int, ...]

    def __post_init__(self) -> None:
        if min(self.spans, default=0) < 1:
            raise ConfigurationError(f"availability spans must be 1 round or more, not {self.spans}")
        if self.groups.min() < 0 or self.groups.max() >= len(self.spans):
            raise ConfigurationError(
                f"availability groups must be in 0..{len(self.spans) - 1}: there is a span for each"
            )

    def available(self, number: int) -> Mask:
        """The group whose turn it is."""
        at = (number - 1) % sum(self.spans)
        group = int(np.searchsorted(np.cumsum(self.spans), at, side="right"))
        return np.asarray(self.groups == group)


@dataclass(frozen=True, slots=True, eq=False)
class Diurnal:
    """Each client is there for a `share` of every day of `period` rounds, from its own hour on.

    hours: (clients,) in [0, 1): where in the day a client's time begins.
    """

    hours: NDArray[np.floating]
    period: int
    share: float

    def __post_init__(self) -> None:
        if self.period < 1 or not 0 < self.share <= 1:
            raise ConfigurationError(
                f"a day of {self.period} rounds and a share of {self.share}: take 1 or more, (0, 1]"
            )

    def available(self, number: int) -> Mask:
        """Those whose time it is."""
        now = (number - 1) % self.period / self.period
        return np.asarray((now - self.hours) % 1.0 < self.share)


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """What was recorded, again from its first round after its last. mask: (rounds, clients) bool."""

    mask: Mask

    @classmethod
    def load(cls, path: str | Path, clients: int) -> Trace:
        """From a text file: a line for each round, in it for each client 1 (there) or 0. Raises ConfigurationError."""
        try:
            lines = Path(path).read_text(encoding="ascii").split()
        except (OSError, ValueError) as error:  # ValueError: no ASCII, or a path with a null byte
            raise ConfigurationError(f"availability trace {path}: {error}") from None
        for at, line in enumerate(lines, start=1):
            if len(line) != clients or set(line) - {"0", "1"}:
                raise ConfigurationError(f"availability trace {path}, round {at}: not {clients} digits 0 or 1")
        if not lines:
            raise ConfigurationError(f"availability trace {path}: no rounds in it")
        return cls(np.array([[digit == "1" for digit in line] for line in lines]))

    def available(self, number: int) -> Mask:
        """The recorded round."""
        row: Mask = self.mask[(number - 1) % len(self.mask)]
        return row
