"""A client's own bounds. They never come from the server and never change a computation: they only refuse."""

from __future__ import annotations

from dataclasses import dataclass

from securefl.crypto import SUITES
from securefl.errors import FaultyServerError
from securefl.secagg.params import Params, Segment


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client is willing to take part in."""

    min_clients: int = 3
    max_clients: int = 1 << 16
    min_threshold: int = 2
    max_words: int = 1 << 28
    """Residues of all dense segments together, and of a row."""
    suites: frozenset[str] = frozenset(SUITES)

    def admit(self, params: Params) -> None:
        """Raise `FaultyServerError`, before any key exists, if `params` are outside these bounds."""
        refused = self._refusal(params)
        if refused:
            raise FaultyServerError(f"the session's parameters are refused: {refused}")

    def _refusal(self, params: Params) -> str | None:
        segments: list[Segment] = [g for s in params.sums for g in s.segments]
        if not self.min_clients <= params.clients <= self.max_clients:
            return f"clients must be {self.min_clients} to {self.max_clients}"
        if params.threshold < self.min_threshold:
            return f"threshold must be at least {self.min_threshold}"
        if sum(g.words for g in segments) > self.max_words:
            return f"at most {self.max_words} residues"
        if params.kem not in self.suites:
            return f"kem must be one of {', '.join(sorted(self.suites))}"
        return None
