"""Training a click model over Flower: the loop of `federation.training` on one side, a user's device on the other."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from functools import partial

import msgspec
import numpy as np
from flwr.app import ConfigRecord, Context, RecordDict
from flwr.serverapp import Grid
from numpy.typing import NDArray

from securefl.engine.flower.client import Part
from securefl.engine.flower.enrolment import Enrolled
from securefl.engine.flower.home import is_deployed, keep, kept
from securefl.engine.flower.rounds import Global, SecureRound, secure_round
from securefl.engine.flower.sums import Terms
from securefl.engine.losses import Losses
from securefl.engine.meter import Meter
from securefl.engine.phone import train_on
from securefl.errors import MessageError
from securefl.federation.progress import Progress
from securefl.federation.randomness import Rng
from securefl.federation.records import RoundRecord
from securefl.federation.setup import Setup
from securefl.federation.strategy import strategy_of
from securefl.federation.training import Played
from securefl.models import Weights
from securefl.submodel import Downloaded, QuantizedUpdate

SETTINGS, ROUND = "settings", "round"


class FlowerEngine:
    """A `federation.training.Engine`: user u is the node whose `partition-id` is u.

    Private embeddings stay on the devices, so a run's AUC is that of fresh ones. Losses of the configuration are
    played on simulated nodes only; on others they happen by themselves.
    """

    plain = False

    def __init__(self, grid: Grid, setup: Setup, enrolled: Enrolled, terms: Terms | None = None) -> None:
        self._grid, self._setup, self._enrolled, self._terms = grid, setup, enrolled, terms or Terms()
        self._names = {node: name for name, node in enrolled.nodes.items()}

    def play(self, number: int, cohort: Sequence[int], weights: Weights, progress: Progress) -> Played:
        """See `federation.training.Engine`. Users whose node is not enrolled are lost from the start."""
        setup, seats = self._setup, self._enrolled.seats
        nodes = [seats[user] for user in cohort if user in seats]
        meter, losses = Meter(), self._losses(number, nodes)
        request = RecordDict({SETTINGS: ConfigRecord({ROUND: number})})
        model = Global(weights.dense, weights.tables, setup.maps)
        progress.phase("advertise_keys", 0, len(cohort))
        played = secure_round(
            self._grid,
            nodes,
            setup.params,
            setup.plan,
            model,
            request=request,
            terms=self._terms,
            enrolled=self._enrolled,
            loses=losses,
            on_sent=meter.sent,
        )
        meter.stop()
        return Played(self._record(number, len(cohort), played, meter, losses), played.sums, {})

    def _losses(self, number: int, nodes: Sequence[int]) -> Losses:
        config = self._setup.config
        probability = config.cohort.dropout if self._enrolled.simulated else 0.0
        names = [self._names[node] for node in nodes]
        generator = self._setup.random.generator("losses", number)
        return Losses(names, probability, generator, malicious=self._setup.params.malicious)

    def _record(self, number: int, clients: int, played: SecureRound, meter: Meter, losses: Losses) -> RoundRecord:
        opened, server, response = played.sums, played.server, self._setup.plan.two_stage
        finishers = [self._names[node] for node in played.survivors - played.silent]
        up, down = meter.mean_bytes(finishers, up=True), meter.mean_bytes(finishers, up=False)
        return RoundRecord(
            round=number,
            exact=True,
            checked=False,
            completed=opened is not None,
            abort=None if played.failure is None else str(played.failure),
            auc=None,
            clients=clients,
            finishers=len(finishers),
            bytes_up_per_client=sum(up.values()),
            bytes_down_per_client=sum(down.values()),
            bytes_up=up,
            bytes_down=down,
            union_size=0 if server.union is None else server.union.size,
            union_false=0,
            union_lost=0,
            rows_uploaded=0 if opened is None else sum(t.indices.size for t in opened.tables.values()),
            rows_left_out=0 if opened is None else opened.rows_left_out,
            epsilon_claims_round=float(response.epsilon_round()),
            epsilon_claims_ever=float(response.epsilon_ever()),
            dropouts=losses.by_phase,
            seconds=meter.seconds,
        )


class Device:
    """One user's part in every round: `SecureClient(rounds=Device(setup, user))`.

    With a seed a simulated device draws what the local engine's phone of that user draws. A deployed one takes claims
    and blinding from the system, whatever the configuration says.
    """

    def __init__(self, setup: Setup, user: int) -> None:
        self._setup, self._user = setup, user

    def __call__(self, request: RecordDict, context: Context) -> Part:
        """See `SecureClient`."""
        number = _round_of(request)
        train = partial(self._train, number, context)
        held = self._setup.log.index_set(self._user)
        return Part(held, train, self._setup.maps, self._claims(number, context), self._noise(number, context))

    def _claims(self, number: int, context: Context) -> Rng:
        if is_deployed(context) or self._setup.random.private:
            return os.urandom
        return _Continued(self._setup.random.stream("claims", number, self._user), number, context)

    def _noise(self, number: int, context: Context) -> Rng:
        deployed = is_deployed(context)
        return os.urandom if deployed else self._setup.random.stream("noise", number, self._user)

    def _train(self, number: int, context: Context, download: Downloaded, _request: RecordDict) -> QuantizedUpdate:
        setup, settings = self._setup, self._setup.config.training
        local, update = train_on(
            download,
            setup.log.train(self._user),
            self._embedding(context),
            model=setup.model,
            plan=setup.plan,
            weigh=strategy_of(settings.strategy, setup.plan).weigh,
            settings=settings,
            learning_rate=settings.learning_rate * settings.decay ** (number - 1),
            seed=setup.random.integer("training", number, self._user),
            rng=setup.random.stream("rounding", number, self._user),
        )
        out = io.BytesIO()
        np.save(out, local.user_embedding, allow_pickle=False)
        keep(context, "embedding.npy", out.getvalue())
        return update

    def _embedding(self, context: Context) -> NDArray[np.float32]:
        data = kept(context, "embedding.npy")
        if data is None:
            return self._setup.model.init_user()
        embedding: NDArray[np.float32] = np.load(io.BytesIO(data), allow_pickle=False)
        return embedding


class _Continued:
    """A seeded stream that goes on in the next process where it was left in this one."""

    def __init__(self, stream: Callable[[int], bytes], number: int, context: Context) -> None:
        self._stream, self._number, self._context = stream, number, context
        data = kept(context, "claims")
        of, used = (number, 0) if data is None else msgspec.msgpack.decode(data, type=tuple[int, int])
        self._used = used if of == number else 0
        stream(self._used)

    def __call__(self, size: int) -> bytes:
        """The next `size` bytes."""
        self._used += size
        keep(self._context, "claims", msgspec.msgpack.encode((self._number, self._used)))
        return self._stream(size)


def _round_of(request: RecordDict) -> int:
    settings = request.get(SETTINGS)
    number = settings.get(ROUND) if isinstance(settings, ConfigRecord) else None
    if not isinstance(number, int) or number < 1:
        raise MessageError("a message without the number of its round")
    return number
