"""Clients that get lost: each with one probability a round, at one of its messages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from securefl.federation.records import PHASES
from securefl.secagg.messages import AdvertiseKeys, ConsistencyCheck, MaskedInput, ShareKeys, Unmasking
from securefl.submodel import UNION, UPDATE
from securefl.submodel.messages import Claim

STEPS = (
    (AdvertiseKeys, None, "advertise_keys"),
    (ShareKeys, None, "share_keys"),
    (MaskedInput, UNION, "union"),
    (ConsistencyCheck, UNION, "union"),
    (Unmasking, UNION, "union"),
    (Claim, None, "claim"),
    (MaskedInput, UPDATE, "train"),
    (ConsistencyCheck, UPDATE, "update"),
    (Unmasking, UPDATE, "update"),
)
"""A client's messages in order: type, sum, and the phase in which a client that never sends it was lost.

A `ConsistencyCheck` exists in the malicious setting only.
"""


class Losses:
    """Who is lost at which message of one round; drawn in the order of `clients`."""

    def __init__(
        self, clients: Iterable[bytes], probability: float, generator: np.random.Generator, *, malicious: bool = False
    ) -> None:
        self._steps = [step for step in STEPS if malicious or step[0] is not ConsistencyCheck]
        draws = {name: (generator.random(), int(generator.integers(len(self._steps)))) for name in clients}
        self._at = {name: step for name, (draw, step) in draws.items() if draw < probability}
        self.by_phase = dict.fromkeys(PHASES, 0)

    def __call__(self, client: bytes, message: Any) -> bool:
        """Whether this message of this client is lost; counts it."""
        return self.strikes(client, type(message), getattr(message, "sum", None))

    def strikes(self, client: bytes, message: type, one: str | None = None) -> bool:
        """Whether a message of this type, of sum `one` if it belongs to one, is lost; counts it."""
        at = self._at.get(client)
        if at is None:
            return False
        kind, name, phase = self._steps[at]
        if (message, one) != (kind, name):
            return False
        self.by_phase[phase] += 1
        return True
