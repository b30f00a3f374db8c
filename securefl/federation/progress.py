"""How a long run tells where it is: an engine calls, a terminal (or nothing) listens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from securefl.federation.records import RoundRecord

__all__ = ["Progress", "Silent", "Together"]


class Progress(Protocol):
    """What an engine reports. Calls come from one thread, in the order of the rounds and of ``PHASES``."""

    def round_started(self, number: int, rounds: int) -> None:
        """Round ``number`` of ``rounds`` begins (1-based)."""

    def phase(self, name: str, done: int, total: int) -> None:
        """``done`` of ``total`` clients have finished the phase ``name``, one of ``PHASES``."""

    def decoding(self, tested: int, universe: int) -> None:
        """The server has tested ``tested`` of the ``universe`` indices that may be in the union."""

    def round_finished(self, record: RoundRecord) -> None:
        """The round is over, completed or not."""


class Silent:
    """A ``Progress`` that says nothing."""

    def round_started(self, number: int, rounds: int) -> None:
        """Say nothing."""

    def phase(self, name: str, done: int, total: int) -> None:
        """Say nothing."""

    def decoding(self, tested: int, universe: int) -> None:
        """Say nothing."""

    def round_finished(self, record: RoundRecord) -> None:
        """Say nothing."""


class Together:
    """Several listeners as one, in their order."""

    def __init__(self, *listeners: Progress) -> None:
        self._listeners = listeners

    def round_started(self, number: int, rounds: int) -> None:
        """Tell all."""
        for listener in self._listeners:
            listener.round_started(number, rounds)

    def phase(self, name: str, done: int, total: int) -> None:
        """Tell all."""
        for listener in self._listeners:
            listener.phase(name, done, total)

    def decoding(self, tested: int, universe: int) -> None:
        """Tell all."""
        for listener in self._listeners:
            listener.decoding(tested, universe)

    def round_finished(self, record: RoundRecord) -> None:
        """Tell all."""
        for listener in self._listeners:
            listener.round_finished(record)
