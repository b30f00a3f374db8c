"""Strategies for a model that every client trains whole: what a client adds to a sum, and what the sum does.

A client's *update* is the paper's u = (x - x_u) / rate, the gradients of its local steps added up, for a model x that
it turned into x_u. A strategy never sees one: the server gets a sum, masked or plain, and which clients are in it.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["FedAvg", "FedLaAvg", "FedProx", "MIFA", "Strategy"]

Floats = NDArray[np.float32]
Total = NDArray[np.floating]
Clients = NDArray[np.int64]


class Strategy(Protocol):
    """One rule of training. Samples and updates come for the clients of a cohort, in its order."""

    proximal: float
    """Weight mu of the term mu/2 |x_u - x|^2 in a client's loss (FedProx), or 0."""

    def loss_scale(self, samples: NDArray[np.integer]) -> Floats:
        """(m,) factors of the clients' losses while they train."""

    def contributions(self, cohort: Clients, updates: Floats, samples: NDArray[np.integer]) -> tuple[Floats, Floats]:
        """What each client adds to the sum: values (m, P) and a weight (m,). Changes nothing for good."""

    def confirm(self, cohort: Clients) -> None:
        """These clients are in a sum that was opened: what they contributed counts."""

    def step(self, total: Total, weight: float) -> Floats:
        """The descent direction (P,) that an opened sum gives: the model moves by -rate times it."""

    @property
    def state(self) -> dict[str, NDArray[np.floating]]:
        """What a checkpoint keeps between rounds: live arrays, restored by writing into them."""


class FedAvg:
    """McMahan et al., AISTATS 2017: the mean of the cohort's updates, by samples."""

    proximal = 0.0

    def loss_scale(self, samples: NDArray[np.integer]) -> Floats:
        """All ones."""
        return np.ones(samples.size, np.float32)

    def contributions(self, cohort: Clients, updates: Floats, samples: NDArray[np.integer]) -> tuple[Floats, Floats]:
        """n_u times the update, and n_u."""
        del cohort
        weights = samples.astype(np.float32)
        return updates * weights[:, None], weights

    def confirm(self, cohort: Clients) -> None:
        """Nothing to remember."""

    def step(self, total: Total, weight: float) -> Floats:
        """The weighted mean."""
        return (total / weight).astype(np.float32)

    @property
    def state(self) -> dict[str, NDArray[np.floating]]:
        """Nothing."""
        return {}


class FedProx(FedAvg):
    """Li et al., MLSys 2020: FedAvg whose clients are pulled back to the model they started from."""

    def __init__(self, proximal: float) -> None:
        self.proximal = proximal


class _LatestUpdates:
    """The mean over *all* clients of the latest update of each, never-seen ones as zero, kept as a running sum."""

    proximal = 0.0

    def __init__(self, clients: int, size: int, samples: int) -> None:
        self._clients, self._samples = clients, samples
        self._latest = np.zeros((clients, size), np.float32)
        self._pending: tuple[Clients, Floats] = (np.empty(0, np.int64), np.empty((0, size), np.float32))
        self._mean = np.zeros(size, np.float64)

    def loss_scale(self, samples: NDArray[np.integer]) -> Floats:
        """N n_u / n: the plain mean over clients is then the mean over samples."""
        return (samples * (self._clients / self._samples)).astype(np.float32)

    def contributions(self, cohort: Clients, updates: Floats, samples: NDArray[np.integer]) -> tuple[Floats, Floats]:
        """How the update differs from the client's last confirmed one; no weight."""
        self._pending = cohort, updates
        return updates - self._latest[cohort], np.zeros(samples.size, np.float32)

    def confirm(self, cohort: Clients) -> None:
        """Only now a client forgets its older update: a sum that was never opened must not count as said."""
        clients, updates = self._pending
        seen = np.isin(clients, cohort)
        self._latest[clients[seen]] = updates[seen]

    def step(self, total: Total, weight: float) -> Floats:
        """The mean after the sum of differences."""
        del weight
        self._mean += total / self._clients
        return self._mean.astype(np.float32)

    @property
    def state(self) -> dict[str, NDArray[np.floating]]:
        """Everybody's latest update and their mean."""
        return {"latest": self._latest, "mean": self._mean}


class FedLaAvg(_LatestUpdates):
    """Yan et al., arXiv 2002.07399, algorithm 1. Its cohort is the available clients that were out longest."""


class MIFA(_LatestUpdates):
    """Gu et al., NeurIPS 2021: the same memory, for whatever cohort comes; here a random one of those available."""
