"""What both sides of the comparison are given, and how the time of each is taken."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

CLIP = 8.0
QUANTIZATION_BITS = 22
"""The peer's defaults: coordinates in [-8, 8] on 2^22 levels."""

SERVER = -1


@dataclass(frozen=True)
class Case:
    """One cell of the comparison."""

    clients: int
    degree: int
    """Holders of a client's shares as the peer counts them: the client itself is one."""
    dim: int
    threshold: int
    """Shares that open a secret, the same on both sides."""
    dropout: float
    seed: int

    @cached_property
    def lost(self) -> frozenset[int]:
        """Clients 0..n-1 that never answer once the keys are shared: the loss that costs a server most."""
        count = round(self.dropout * self.clients)
        return frozenset(np.random.default_rng([self.seed]).permutation(self.clients)[:count].tolist())

    @property
    def kept(self) -> list[int]:
        """Clients that stay to the end."""
        return [u for u in range(self.clients) if u not in self.lost]

    @property
    def complete(self) -> bool:
        """Whether everybody masks with everybody."""
        return self.degree == self.clients

    def vector(self, client: int) -> NDArray[np.float32]:
        """The input of a client, (dim,), uniform in [-1, 1)."""
        return np.random.default_rng([self.seed, client]).uniform(-1, 1, self.dim).astype(np.float32)

    @cached_property
    def mean(self) -> NDArray[np.float64]:
        """What both must find, in clear."""
        total = np.zeros(self.dim)
        for client in self.kept:
            total += self.vector(client)
        return total / len(self.kept)

    def error(self, result: NDArray[np.floating]) -> float:
        """Largest distance of a result from the clear mean, in quantization steps: below 1 if all is right."""
        return float(np.abs(result - self.mean).max() / (2 * CLIP / 2**QUANTIZATION_BITS))


class Stopwatch:
    """CPU seconds of each party in each step; a party at work inside another's turn stops the other's clock."""

    def __init__(self) -> None:
        self.seconds: dict[int, dict[int, float]] = defaultdict(lambda: defaultdict(float))
        """party -> step -> seconds"""
        self.step = 0
        self._party: int | None = None
        self._since = 0.0

    @contextmanager
    def of(self, party: int | None) -> Iterator[None]:
        """While inside, the time is this party's, or nobody's."""
        interrupted = self._switch(party)
        try:
            yield
        finally:
            self._switch(interrupted)

    def _switch(self, party: int | None) -> int | None:
        now = time.process_time()
        if self._party is not None:
            self.seconds[self._party][self.step] += now - self._since
        before, self._party, self._since = self._party, party, time.process_time()
        return before


class Session(Protocol):
    """One side at work. `steps` runs one step of the protocol at each turn, for interleaving."""

    label: str
    watch: Stopwatch
    uploaded: dict[int, int]
    """client -> bytes"""

    def steps(self) -> Iterator[None]:
        """Run the session; raises `DidNotFinishError`."""

    def result(self) -> NDArray[np.floating]:
        """The mean, (dim,)."""


class DidNotFinishError(Exception):
    """A session ended without a result."""
