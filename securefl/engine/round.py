"""One simulated round: carries it out, then compares what the server opened with the same sums in clear."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from securefl.engine.clear import UnionCheck, check_union, update_is_exact
from securefl.engine.exchange import Exchange
from securefl.engine.losses import Losses
from securefl.engine.meter import Meter, phase_of
from securefl.engine.phone import Phone
from securefl.errors import ProtocolError
from securefl.federation.progress import Progress
from securefl.federation.records import PHASES, RoundRecord
from securefl.secagg import cut
from securefl.submodel import UNION, UPDATE, RoundSums, SubmodelPlan, SubmodelServer, to_client, to_server

ANSWERS = {"union": 2, "train": 1, "update": 2}
"""Steps of a client in a phase; one in the others."""


class SimulatedRound:
    """A server and its phones, by identity key."""

    def __init__(
        self,
        number: int,
        plan: SubmodelPlan,
        server: SubmodelServer,
        phones: Mapping[bytes, Phone],
        losses: Losses,
        progress: Progress,
    ) -> None:
        self._number, self._plan, self._server, self._phones = number, plan, server, phones
        self._losses, self._progress, self._meter = losses, progress, Meter()
        self._done = dict.fromkeys(PHASES, 0)
        self._exchange = Exchange(server, phones, to_client, to_server, losses, self._sent)
        self._abort: str | None = None

    def play(self) -> RoundSums | None:
        """Carry every message; None if the round could not finish."""
        try:
            self._exchange.run()
        except ProtocolError as error:
            self._abort = str(error)
        self._meter.switch(PHASES[-1])
        return self._server.sums if UPDATE in self._server.results else None

    def trained(self) -> None:
        """A phone has trained."""
        self._count("train")

    def record(self, auc: float | None) -> RoundRecord:
        """What the round was like."""
        server, union = self._server, self._check_union()
        opened = server.sums if UPDATE in server.results else None
        finishers = [] if opened is None else [c for c in map(server.name_of, opened.survivors) if self._finished(c)]
        up, down = self._meter.mean_bytes(finishers, up=True), self._meter.mean_bytes(finishers, up=False)
        response = self._plan.two_stage
        return RoundRecord(
            round=self._number,
            exact=union.exact and (opened is None or update_is_exact(opened, self._updates(opened))),
            completed=opened is not None,
            abort=self._abort,
            auc=auc,
            clients=len(self._phones),
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
            epsilon_claims_round=response.epsilon_round(),
            epsilon_claims_ever=response.epsilon_ever(),
            dropouts=self._losses.by_phase,
            seconds=self._meter.seconds,
        )

    def _sent(self, client: bytes, message: Any, size: int, up: bool) -> None:
        phase = phase_of(message)
        self._meter.sent(client, message, size, up)
        if up:
            self._count(phase)

    def _count(self, phase: str) -> None:
        self._done[phase] += 1
        self._progress.phase(phase, self._done[phase], len(self._phones) * ANSWERS.get(phase, 1))

    def _finished(self, client: bytes) -> bool:
        return client not in self._exchange.gone

    def _check_union(self) -> UnionCheck:
        """The opened union beside the survivors' own inputs; nothing to compare if it never opened."""
        server = self._server
        if UNION not in server.results or server.union is None:
            return UnionCheck(True, 0, 0)
        survivors = [self._phones[server.name_of(u)] for u in server.survivors[UNION]]
        opened = cut(server.params.sum(UNION).segments[0], server.results[UNION]["cells"])
        cells = [phone.clear_cells(self._plan.union_plan) for phone in survivors]
        held = [phone.index_set for phone in survivors]
        return check_union(opened, server.union, cells, held, self._plan.union_plan.bits)

    def _updates(self, opened: RoundSums) -> list[Any]:
        return [self._phones[self._server.name_of(u)].update for u in opened.survivors]
