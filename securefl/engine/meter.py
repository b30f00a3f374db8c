"""Bytes and seconds of a round by phase, seen from outside the protocol."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection
from typing import Any

from securefl.federation.records import PHASES
from securefl.secagg.messages import (
    AdvertiseKeys,
    Consistency,
    ConsistencyCheck,
    Delivery,
    MaskedInput,
    Roster,
    ShareKeys,
    Survivors,
    Unmasking,
)
from securefl.submodel.messages import Claim, RoundInvitation, Submodel, UnionAnnounced

_PHASE_OF: dict[type, str] = {
    RoundInvitation: "advertise_keys",
    AdvertiseKeys: "advertise_keys",
    Roster: "share_keys",
    ShareKeys: "share_keys",
    Delivery: "union",
    UnionAnnounced: "claim",
    Claim: "claim",
    Submodel: "train",
}


def phase_of(message: Any) -> str:
    """The phase a message belongs to; a message down belongs to the answer it asks for."""
    if isinstance(message, MaskedInput | Survivors | ConsistencyCheck | Consistency | Unmasking):
        return message.sum
    return _PHASE_OF[type(message)]


class Meter:
    """Counts every delivered frame, and the time of every phase."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(PHASES, 0.0)
        self._bytes: dict[tuple[bytes, str, bool], int] = defaultdict(int)
        self._phase, self._since = PHASES[0], time.perf_counter()

    def sent(self, client: bytes, message: Any, size: int, up: bool) -> None:
        """One frame of `size` bytes. Clients may work at the same time: a phase ends when the next one goes down."""
        phase = phase_of(message)
        self._bytes[client, phase, up] += size
        if not up:
            self.stop()
            self._phase = phase

    def stop(self) -> None:
        """Give the time since the last frame to its phase."""
        now = time.perf_counter()
        self.seconds[self._phase] += now - self._since
        self._since = now

    def mean_bytes(self, clients: Collection[bytes], *, up: bool) -> dict[str, float]:
        """Mean bytes of these clients, by phase; zeros if there are none."""
        return {
            phase: sum(self._bytes.get((c, phase, up), 0) for c in clients) / max(1, len(clients)) for phase in PHASES
        }
