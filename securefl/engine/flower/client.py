"""The client's side on Flower: one handler for a ClientApp, a process per message, secrets in `context.state` only."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp
from numpy.typing import NDArray

from securefl import secagg, submodel
from securefl.engine.flower.arrays import Input, request_hash
from securefl.engine.flower.carriage import ACTION, Envelope, answer, open_envelope, refusal, request_of
from securefl.engine.flower.enrolment import enrol_here
from securefl.engine.flower.home import Home, home
from securefl.engine.flower.sleep import Luggage, forget, put_to_sleep, wake
from securefl.errors import ConfigurationError, FaultyServerError, LocalProtocolError, SecureFLError
from securefl.federation import latest_session
from securefl.federation.latest_session import LatestClient, LatestInvitation
from securefl.secagg import Client, Limits
from securefl.secagg.keys import Rng
from securefl.secagg.messages import Delivery, Invitation
from securefl.submodel import Downloaded, QuantizedUpdate, SubmodelClient, SubmodelLimits
from securefl.submodel.messages import RoundInvitation, Submodel
from securefl.submodel.plan import PublicMap
from securefl.wire import MAX_BYTES

_LOG = logging.getLogger(__name__)

Arrays = Callable[[RecordDict, Context], Mapping[str, Input]]
"""A node's part in plain sums: from the application's records and the context, arrays by name."""
Latest = Callable[[NDArray[np.float32], RecordDict, Context], NDArray[Any] | None]
"""A node's part in FedLaAvg: from the model (P,), the application's records and the context, its update (P,). Floats
are quantized as the plan says, integers are quantized already; None takes all of the node out of the running sum."""


@dataclass(frozen=True, slots=True)
class Part:
    """A node's part in submodel rounds.

    `index_set`: int64, sorted, the rows its data touches. `train`: from what was downloaded, and the application's
    records that came with it, to an update. `maps`: the public map of each following table.
    """

    index_set: NDArray[np.int64]
    train: Callable[[Downloaded, RecordDict], QuantizedUpdate]
    maps: Mapping[str, PublicMap] = field(default_factory=dict)
    rng: Rng = os.urandom
    """Of claims and blinding; in a simulation it may be seeded, a deployed client refuses that."""
    noise_rng: Rng = os.urandom
    """Of noise; the same holds."""


class SecureClient:
    """Answers every message of this engine: `SecureClient(arrays=...).register(app)`.

    `arrays`: gives this node's part in plain sums. `rounds`: gives it in submodel rounds, from the application's
    records of each message and the context. `latest`: gives it in rounds of FedLaAvg. `limits` and `submodel_limits`
    are the node's own bounds. A frame above `max_bytes` is refused. `simulated`: a node without a folder of its own
    makes its client up, as it does when the run's configuration has `securefl-simulation = true`; that protects
    nobody.
    """

    def __init__(
        self,
        *,
        arrays: Arrays | None = None,
        rounds: Callable[[RecordDict, Context], Part] | None = None,
        latest: Latest | None = None,
        limits: Limits | None = None,
        submodel_limits: SubmodelLimits | None = None,
        max_bytes: int = MAX_BYTES,
        simulated: bool = False,
    ) -> None:
        self._arrays, self._rounds, self._latest, self._max_bytes = arrays, rounds, latest, max_bytes
        self._limits, self._submodel_limits, self._simulated = limits, submodel_limits, simulated

    def register(self, app: ClientApp) -> None:
        """Make `app` answer with this."""
        app.query(ACTION)(self)

    def __call__(self, message: Message, context: Context) -> Message:
        """One message, one reply: frames, or an error that says why this node's part is over."""
        try:
            envelope = open_envelope(message.content, self._max_bytes)
            request = request_of(message.content)
            with home(context, simulated=self._simulated) as own:
                match envelope.kind:
                    case "enrolment":
                        frames = [enrol_here(own, envelope, context)]
                    case "sums":
                        frames = self._sum(envelope, own, request, context)
                    case "round":
                        frames = self._play(envelope, own, request, context)
                    case "latest":
                        frames = self._contribute(envelope, own, request, context)
            return answer(frames, message)
        except SecureFLError as error:
            _LOG.warning("refused: %s: %s", type(error).__name__, error)
            return refusal(f"{type(error).__name__}: {error}", message)

    def _sum(self, envelope: Envelope, own: Home, request: RecordDict, context: Context) -> list[bytes]:
        """One message of plain sums. The application is asked for its arrays once, when the first sum opens."""
        received = secagg.to_client.decode(envelope.frame)
        luggage = _luggage(envelope, context, begins=isinstance(received, Invitation))
        plan = luggage.arrays
        if isinstance(received, Invitation):
            plan.admit(received.params)
        elif isinstance(received, Delivery):
            if request_hash(request) != plan.request:
                raise FaultyServerError("the records are not those whose hash the parameters carry")
            encoded = plan.encode(self._own_arrays(request, context), os.urandom)
            luggage.inputs = {name: [part.tobytes() for part in parts] for name, parts in encoded.items()}
        inputs = {one.name: [np.frombuffer(p, np.int64) for p in luggage.inputs.get(one.name, [])] for one in plan.sums}
        client = Client(own.identity, _registry(own, luggage), inputs, limits=self._limits, journal=own.journal)
        if luggage.client:
            client.resume(luggage.client)
        answers = client.receive(received)
        put_to_sleep(envelope.session, client, luggage, answers, context)
        return [secagg.to_server.encode(one) for one in answers]

    def _play(self, envelope: Envelope, own: Home, request: RecordDict, context: Context) -> list[bytes]:
        """One message of a submodel round. Training goes on in the process of the message that brought the rows."""
        received = submodel.to_client.decode(envelope.frame)
        luggage = _luggage(envelope, context, begins=isinstance(received, RoundInvitation))
        part = self._part(own, request, context)
        client = self._claimant(own, _registry(own, luggage), part)
        if luggage.client:
            client.resume(luggage.client)
        answers: list[Any] = client.receive(received)
        if isinstance(received, Submodel):
            answers = client.upload(part.train(client.download, request))
        put_to_sleep(envelope.session, client, luggage, answers, context)
        return [submodel.to_server.encode(one) for one in answers]

    def _contribute(self, envelope: Envelope, own: Home, request: RecordDict, context: Context) -> list[bytes]:
        """One message of FedLaAvg. The update is on disk before it leaves; the next invitation settles it."""
        received = latest_session.to_client.decode(envelope.frame)
        luggage = _luggage(envelope, context, begins=isinstance(received, LatestInvitation))
        client = LatestClient(
            own.identity, _registry(own, luggage), own.updates, limits=self._limits, journal=own.journal
        )
        if luggage.client:
            client.resume(luggage.client)
        answers = client.receive(received)
        if isinstance(received, Delivery):
            answers = self._upload(client, request, context)
        put_to_sleep(envelope.session, client, luggage, answers, context)
        return [latest_session.to_server.encode(one) for one in answers]

    def _upload(self, client: LatestClient, request: RecordDict, context: Context) -> list[Any]:
        if self._latest is None:
            raise LocalProtocolError("this node takes no part in rounds of FedLaAvg: its app gave no update")
        update = self._latest(client.model, request, context)
        if update is None:
            return client.leave()
        return client.upload(update if update.dtype.kind == "i" else client.quantized(update, os.urandom))

    def _own_arrays(self, request: RecordDict, context: Context) -> Mapping[str, Input]:
        if self._arrays is None:
            raise LocalProtocolError("this node takes no part in plain sums: its app gave no arrays")
        return self._arrays(request, context)

    def _part(self, own: Home, request: RecordDict, context: Context) -> Part:
        if self._rounds is None:
            raise LocalProtocolError("this node takes no part in submodel rounds: its app gave none")
        part = self._rounds(request, context)
        if own.deployed and (part.rng is not os.urandom or part.noise_rng is not os.urandom):
            raise ConfigurationError("rng: a deployed client takes the system's randomness; leave it out")
        return part

    def _claimant(self, own: Home, registry: frozenset[bytes], part: Part) -> SubmodelClient:
        return SubmodelClient(
            own.identity,
            registry,
            part.index_set,
            own.memo,
            ledger=own.ledger,
            maps=part.maps,
            limits=self._limits,
            submodel_limits=self._submodel_limits,
            journal=own.journal,
            rng=part.rng,
            noise_rng=part.noise_rng,
        )


def _luggage(envelope: Envelope, context: Context, *, begins: bool) -> Luggage:
    """A new session's, or what slept here. Either way nothing sleeps here now: an error ends the session."""
    luggage = Luggage(envelope.plan, envelope.registry) if begins else wake(envelope, context)
    forget(context)
    return luggage


def _registry(own: Home, luggage: Luggage) -> frozenset[bytes]:
    return luggage.names() if own.registry is None else own.registry
