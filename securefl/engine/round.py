"""One simulated round: carries it out, then compares what the server opened with the same sums in clear."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from securefl.engine.clear import RoundShapes
from securefl.engine.exchange import Exchange
from securefl.engine.fleet import Fleet
from securefl.engine.losses import Losses
from securefl.engine.meter import Meter, phase_of
from securefl.errors import ProtocolError
from securefl.federation.progress import Progress
from securefl.federation.records import PHASES, RoundRecord
from securefl.secagg import cut
from securefl.secagg.messages import MaskedInput
from securefl.submodel import UNION, UPDATE, RoundSums, SubmodelPlan, SubmodelServer, to_client, to_server
from securefl.submodel.plan import CELLS


@dataclass(frozen=True, slots=True)
class UnionCheck:
    """The opened union beside the survivors' own inputs."""

    exact: bool = True
    false: int = 0
    lost: int = 0


class SimulatedRound:
    """A server, the clients of a fleet, and the messages that get lost between them."""

    def __init__(
        self, number: int, plan: SubmodelPlan, server: SubmodelServer, fleet: Fleet, losses: Losses, progress: Progress
    ) -> None:
        self._number, self._plan, self._server, self._fleet = number, plan, server, fleet
        self._losses, self._progress, self._meter = losses, progress, Meter()
        self._clients = len(server.invited)
        self._done = dict.fromkeys(PHASES, 0)
        self._exchange = Exchange(server, fleet, to_client, to_server, losses, self._sent)
        self._abort: str | None = None

    def play(self) -> RoundSums | None:
        """Carry every message; None if the round could not finish."""
        try:
            self._exchange.run()
        except ProtocolError as error:
            self._abort = str(error)
        self._meter.stop()
        return self._opened()

    def record(self, auc: float | None) -> RoundRecord:
        """What the round was like."""
        server, opened, union, response = self._server, self._opened(), self._check_union(), self._plan.two_stage
        finishers = [] if opened is None else self._finishers(opened)
        up, down = self._meter.mean_bytes(finishers, up=True), self._meter.mean_bytes(finishers, up=False)
        return RoundRecord(
            round=self._number,
            exact=union.exact and self._update_is_exact(opened),
            completed=opened is not None,
            abort=self._abort,
            auc=auc,
            clients=self._clients,
            finishers=len(finishers),
            bytes_up_per_client=sum(up.values()),
            bytes_down_per_client=sum(down.values()),
            bytes_up=up,
            bytes_down=down,
            union_size=0 if server.union is None else server.union.size,
            union_false=union.false,
            union_lost=union.lost,
            rows_uploaded=0 if opened is None else sum(t.indices.size for t in opened.tables.values()),
            rows_left_out=0 if opened is None else opened.rows_left_out,
            epsilon_claims_round=float(response.epsilon_round()),
            epsilon_claims_ever=float(response.epsilon_ever()),
            dropouts=self._losses.by_phase,
            seconds=self._meter.seconds,
        )

    def _opened(self) -> RoundSums | None:
        return self._server.sums if UPDATE in self._server.results else None

    def _finishers(self, opened: RoundSums) -> list[bytes]:
        """Clients that answered every message."""
        names = map(self._server.name_of, opened.survivors)
        return [name for name in names if name not in self._exchange.gone]

    def _sent(self, client: bytes, message: Any, size: int, up: bool) -> None:
        phase = phase_of(message)
        self._meter.sent(client, message, size, up)
        if up:
            self._count(phase)
            if isinstance(message, MaskedInput) and message.sum == UPDATE:
                self._count("train")

    def _count(self, phase: str) -> None:
        self._done[phase] += 1
        self._progress.phase(phase, self._done[phase], self._clients * self._messages(phase))

    def _messages(self, phase: str) -> int:
        """Messages of a client in a phase. Training ends with the masked input of the update."""
        return 2 + self._server.params.malicious if phase in (UNION, UPDATE) else 1

    def _check_union(self) -> UnionCheck:
        server = self._server
        if UNION not in server.results or server.union is None:
            return UnionCheck()
        clear = self._fleet.clear_union([server.name_of(u) for u in server.survivors[UNION]])
        segment = server.params.sum(UNION).segments[0]
        exact = bool((cut(segment, clear.cells) == cut(segment, server.results[UNION][CELLS])).all())
        found = set(server.union.tolist()) & set(clear.held.tolist())
        return UnionCheck(exact, server.union.size - len(found), clear.held.size - len(found))

    def _update_is_exact(self, opened: RoundSums | None) -> bool:
        if opened is None:
            return True
        names = [self._server.name_of(u) for u in opened.survivors]
        return self._fleet.clear_update(names, RoundShapes.of(opened)).equals(opened)
