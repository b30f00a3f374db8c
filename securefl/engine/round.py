"""One simulated round: carries it out, then compares what the server opened with the same sums in clear."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from securefl.engine.clear import ClearUpdate, RoundShapes
from securefl.engine.exchange import Exchange
from securefl.engine.fleet import Fleet
from securefl.engine.losses import Losses
from securefl.engine.meter import Meter, phase_of
from securefl.errors import ProtocolError
from securefl.federation.progress import Progress
from securefl.federation.records import PHASES, RoundRecord
from securefl.secagg import cut
from securefl.secagg.messages import MaskedInput
from securefl.store import Disclosure, Rows
from securefl.submodel import UNION, UPDATE, RoundSums, SubmodelPlan, SubmodelServer, indexset, to_client, to_server
from securefl.submodel.messages import Claim
from securefl.submodel.plan import CELLS, PublicMap
from securefl.submodel.rows import followed


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
        self._exchange = Exchange(server, fleet, to_client, to_server, self._loses, self._sent)
        self._claims = dict[bytes, bytes]()
        self._clear_sums: ClearUpdate | None = None
        self._abort: str | None = None

    def play(self) -> RoundSums | None:
        """Carry every message; None if the round could not finish."""
        try:
            self._exchange.run()
        except ProtocolError as error:
            self._abort = str(error)
        self._meter.stop()
        return self._opened()

    def record(self) -> RoundRecord:
        """What the round was like."""
        server, opened, union, response = self._server, self._opened(), self._check_union(), self._plan.two_stage
        finishers = [] if opened is None else self._finishers(opened)
        up, down = self._meter.mean_bytes(finishers, up=True), self._meter.mean_bytes(finishers, up=False)
        return RoundRecord(
            round=self._number,
            exact=union.exact and self._update_is_exact(opened),
            completed=opened is not None,
            abort=self._abort,
            auc=None,
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

    def disclosure(self, users: Mapping[bytes, str], memo: str, maps: Mapping[str, PublicMap]) -> Disclosure:
        """What the round released, and to whom it can be traced. A claim counts when it is sent, heard or not."""
        server, opened = self._server, self._opened()
        union = np.zeros(0, np.int64) if server.union is None else server.union
        survivors = [] if opened is None else list(map(server.name_of, opened.survivors))
        claimed = [union[indexset.decode(self._claims[name], union.size)] for name in survivors]
        return Disclosure(
            round=self._number,
            finished=opened is not None,
            cohort=tuple(users.values()),
            claimed={users[name]: memo for name in self._claims},
            union=union,
            survivors=tuple(users[name] for name in survivors),
            left_out=0 if opened is None else opened.rows_left_out,
            rows={} if opened is None else self._rows(opened, claimed, maps),
            release=""
            if opened is None or self._plan.noise is None
            else str(self._plan.noise.release(self._plan.numbers)),
        )

    def _rows(
        self, opened: RoundSums, claimed: list[NDArray[np.int64]], maps: Mapping[str, PublicMap]
    ) -> dict[str, Rows]:
        known = None if self._plan.noise is not None else self._clear(opened).contributors  # noise is in all of them
        rows = {}
        for name, table in opened.tables.items():
            own = claimed if name not in maps else [followed(indices, maps[name]) for indices in claimed]
            claimants = sum((np.isin(table.indices, one).astype(np.int64) for one in own), np.zeros_like(table.indices))
            rows[name] = Rows(table.indices, claimants, table.counts, None if known is None else known[name])
        return rows

    def _loses(self, client: bytes, message: Any) -> bool:
        if isinstance(message, Claim):
            self._claims[client] = message.positions
        return self._losses(client, message)

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
        return opened is None or self._clear(opened).equals(opened)

    def _clear(self, opened: RoundSums) -> ClearUpdate:
        """The survivors' own inputs, added up."""
        if self._clear_sums is None:
            names = [self._server.name_of(u) for u in opened.survivors]
            self._clear_sums = self._fleet.clear_update(names, RoundShapes.of(opened))
        return self._clear_sums
