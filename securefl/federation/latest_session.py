"""One session of FedLaAvg: a masked sum whose invitation brings the model and settles what became of the last one."""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from securefl.crypto import Identity
from securefl.errors import ConfigurationError, LocalProtocolError, SecureFLError
from securefl.federation.latest import (
    DENSE,
    UPDATE,
    Contribution,
    Integers,
    LatestPlan,
    OpenedSum,
    RunningSum,
    Updates,
    check_invitation,
)
from securefl.secagg import Limits, Opening, Outgoing, Params, Participant, Server, messages, signed, suspension
from securefl.secagg.journal import Journal
from securefl.secagg.keys import Rng
from securefl.secagg.quantize import quantize
from securefl.secagg.uploading import Ready
from securefl.transcript import Label, digest
from securefl.wire import Bytes32, Codec, Message

__all__ = ["LatestClient", "LatestInvitation", "LatestServer", "to_client", "to_server"]


class LatestInvitation(Message, frozen=True, tag=24):
    """Server to one client: a session, the model (float32, little-endian), and where the client was last included."""

    session: Bytes32
    params: Params
    plan: LatestPlan
    included: Annotated[bytes, msgspec.Meta(max_length=32)]
    """The session in whose sum the server last counted this client; empty for none."""
    model: bytes


ToClient = (
    LatestInvitation | messages.Roster | messages.Delivery | messages.Survivors | messages.Consistency | messages.Abort
)
to_client: Codec[ToClient] = Codec(ToClient)
to_server: Codec[messages.ToServer] = Codec(messages.ToServer)


def _opening(params: Params, live: tuple[int, ...], model: bytes) -> Opening:
    """Bound to the model: whoever was shown another one does not cancel."""
    return Opening(params.sum(UPDATE), live, digest(Label.BINDING, digest(Label.DENSE, model)))


class LatestClient(Participant):
    """A client in one session. Once `model` is there and the keys are shared, training outside ends in `upload`."""

    def __init__(
        self,
        identity: Identity,
        registry: Collection[bytes],
        updates: Updates,
        *,
        limits: Limits | None = None,
        journal: Journal | None = None,
        rng: Rng = os.urandom,
    ) -> None:
        super().__init__(identity, registry, limits=limits, journal=journal, rng=rng)
        self._contribution = Contribution(updates)
        self._plan: LatestPlan | None = None
        self._model = b""

    @property
    def model(self) -> NDArray[np.float32]:
        """What the server sent, float32 (P,)."""
        return np.frombuffer(self._model, "<f4").astype(np.float32)

    def quantized(self, update: NDArray[np.floating], rng: Rng) -> Integers:
        """What `upload` takes, int64 (P,), from floats (P,): clipped and rounded at random, as the plan says."""
        if self._plan is None or update.shape != (self._plan.size,):
            raise LocalProtocolError("an update has the shape of the model that the invitation brought")
        return quantize(update[None, :], np.ones(1, np.int64), self._plan.quantization, rng)[0, :-1]

    def upload(self, update: Integers) -> list[Any]:
        """Send a quantized update, integers (P,) of -levels to levels: masked, and less the one sent before."""
        if self._plan is None or not isinstance(self._state, Ready) or self._state.closed:
            raise LocalProtocolError("no update is awaited: the keys are not shared, or it was sent")
        if update.shape != (self._plan.size,) or update.dtype.kind != "i" or not _within(update, self._plan):
            raise LocalProtocolError(f"an update is integers of shape {(self._plan.size,)} within the plan's levels")
        setup = self._state.keys.setup
        opening = _opening(setup.params, (self._state.keys.id, *sorted(self._state.neighbours)), self._model)
        try:
            return self._enter(opening, [self._contribution.propose(setup.session, update.astype(np.int64))])
        except SecureFLError as error:
            self.abort(str(error))
            raise

    def leave(self) -> list[Any]:
        """Take one's contribution out of the running sum: an update of zeros. It is out once its sum was counted."""
        return self.upload(np.zeros(0 if self._plan is None else self._plan.size, np.int64))

    def suspend(self) -> bytes:
        """See `Participant`."""
        return msgspec.msgpack.encode((self._plan, self._model, super().suspend()))

    def resume(self, data: bytes) -> None:
        """See `Participant`."""
        plan, model, session = suspension.unpack(data, tuple[LatestPlan | None, bytes, bytes])
        super().resume(session)
        self._plan, self._model = plan, model

    def _step(self, message: Any) -> list[Any]:
        if isinstance(message, LatestInvitation) and self._plan is None:
            check_invitation(message.plan, message.params, message.included, message.model)
            self._plan, self._model = message.plan, message.model
            answers = super()._step(messages.Invitation(message.session, message.params))
            self._contribution.settle(message.plan.hash, message.included)  # never by a replay: the journal knows those
            return answers
        return super()._step(message)

    def _on_ready(self, ready: Ready) -> list[Any]:
        """Training first."""
        del ready
        return []


def _within(update: Integers, plan: LatestPlan) -> bool:
    return int(np.abs(update).max(initial=0)) <= plan.quantization.levels


class LatestServer(Server):
    """One session over the running sum's model; `opened` is what `RunningSum.count` takes."""

    def __init__(
        self,
        params: Params,
        running: RunningSum,
        invited: Collection[bytes],
        *,
        session: bytes | None = None,
        rng: Rng = os.urandom,
    ) -> None:
        super().__init__(params, invited, session=session, rng=rng)
        if params.plan != running.plan.hash:
            raise ConfigurationError("params: they carry another plan; take them from plan.params")
        self._plan, self._model = running.plan, running.model.astype("<f4").tobytes()
        self._included = {name: running.included.get(name, b"") for name in invited}

    @property
    def opened(self) -> OpenedSum | None:
        """What `RunningSum.count` takes; None while the sum is not opened."""
        if UPDATE not in self.results:
            return None
        total = signed(self.params.sum(UPDATE).segments[0], self.results[UPDATE][DENSE])
        survivors = map(self.name_of, self.survivors[UPDATE])
        return OpenedSum(self.session, {name: self._included[name] for name in survivors}, total)

    def start(self) -> Outgoing:
        """See `Server`: each client is told its own place."""
        invitation = LatestInvitation(self.session, self.params, self._plan, b"", self._model)
        return {name: msgspec.structs.replace(invitation, included=self._included[name]) for name in super().start()}

    def _first_opening(self, live: tuple[int, ...]) -> Opening:
        return _opening(self.params, live, self._model)
