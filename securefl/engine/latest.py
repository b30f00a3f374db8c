"""FedLaAvg between simulated clients: over masked sums, or in clear with the same integers and so the same models.

With `LongestOut` cohorts it is FedLaAvg, with `RandomCohort` it is MIFA.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from securefl.crypto import Identity
from securefl.engine.exchange import Exchange
from securefl.engine.simulation import STEPS
from securefl.errors import ProtocolError, TooFewSurvivorsError
from securefl.federation.latest import Contribution, Integers, OpenedSum, RunningSum, Updates
from securefl.federation.latest_session import LatestClient, LatestServer, to_client, to_server
from securefl.federation.randomness import Randomness
from securefl.secagg import Params, quantize
from securefl.secagg.messages import ConsistencyCheck, Delivery, MaskedInput

__all__ = ["LatestClients"]

Losses = Mapping[int, str]
"""Client to the message of it that never arrives, by its name."""


@dataclass(frozen=True, slots=True)
class _Phone:
    """A client whose training is done when its keys are."""

    client: LatestClient
    update: Integers

    def receive(self, message: Any) -> list[Any]:
        """See `exchange.Node`."""
        answers = self.client.receive(message)
        return self.client.upload(self.update) if isinstance(message, Delivery) else answers


class LatestClients:
    """All N clients of a run, with the memory of each, and the sessions they enter. `random` rounds updates."""

    def __init__(self, running: RunningSum, updates: Sequence[Updates], random: Randomness) -> None:
        self.running, self._updates, self._random = running, updates, random
        self._identities = [Identity.generate() for _ in updates]
        self._numbers = {identity.public: user for user, identity in enumerate(self._identities)}

    def round(
        self,
        number: int,
        cohort: Sequence[int],
        updates: NDArray[np.float32],
        params: Params,
        rate: float,
        *,
        lost: Losses | None = None,
        secure: bool = True,
    ) -> bool:
        """One round of `cohort` with their updates u (m, P), and a step; whether its sum was opened and counted.

        lost: clients whose named message never arrives, as in `securefl.simulate`.
        """
        integers = {user: self.quantized(number, user, one) for user, one in zip(cohort, updates, strict=True)}
        play = self._secure if secure else self._plain
        opened = play(params, integers, lost or {})
        if opened is not None:
            self.running.count([opened], rate)
        return opened is not None

    def quantized(self, number: int, user: int, update: NDArray[np.float32]) -> Integers:
        """A client's update as the integers it contributes, (P,). The same for the same seed."""
        how, rng = self.running.plan.quantization, self._random.stream("rounding", number, user)
        return quantize.quantize(update[None, :], np.ones(1, np.int64), how, rng)[0, :-1]

    def name(self, user: int) -> bytes:
        """The identity key of a client."""
        return self._identities[user].public

    def _secure(self, params: Params, integers: Mapping[int, Integers], lost: Losses) -> OpenedSum | None:
        names = {self.name(user): user for user in integers}
        server = LatestServer(params, self.running, names)
        phones = {
            name: _Phone(LatestClient(self._identities[user], names, self._updates[user]), integers[user])
            for name, user in names.items()
        }
        gone = {user: STEPS[step] for user, step in lost.items()}
        try:
            Exchange(server, phones, to_client, to_server, partial(_loses, names, gone)).run()
        except TooFewSurvivorsError:
            return None
        return server.opened

    def _plain(self, params: Params, integers: Mapping[int, Integers], lost: Losses) -> OpenedSum | None:
        """The same steps without keys: who gets how far, and what counts."""
        run, session, told, inputs = params.plan, secrets.token_bytes(32), dict[int, bytes](), dict[int, Integers]()
        for user in integers:
            told[user] = self.running.included.get(self.name(user), b"")
            try:
                Contribution(self._updates[user]).settle(run, told[user])
            except ProtocolError:  # it sits out, as in the secure session
                lost = {**lost, user: "AdvertiseKeys"}
        left = _left(list(integers), lost, "AdvertiseKeys", params.threshold + 1)
        left = _left(left, lost, "ShareKeys", params.threshold + 1)
        for user in left:
            inputs[user] = Contribution(self._updates[user]).propose(session, integers[user])
        summed = left = _left(left, lost, MaskedInput.__name__, params.needed)
        for step in (*([ConsistencyCheck.__name__] if params.malicious else []), "Unmasking"):
            left = _left(left, lost, step, params.threshold + 1)
        if not left:
            return None
        total = np.sum([inputs[user] for user in summed], axis=0)
        return OpenedSum(session, {self.name(user): told[user] for user in summed}, total)


def _loses(names: Mapping[bytes, int], gone: Mapping[int, type], name: bytes, message: Any) -> bool:
    return type(message) is gone.get(names[name])


def _left(users: list[int], lost: Losses, step: str, needed: int) -> list[int]:
    """Who is left after a step; nobody if they are too few to go on."""
    left = [user for user in users if lost.get(user) != step]
    return left if len(left) >= needed else []
