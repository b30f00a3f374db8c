"""A round without masks: the same phones, claims, losses, row floor and integers; the server reads every input.

For comparison only. With a seed, what comes out is bit for bit what the secure round opens.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

import psu
from securefl.engine.clear import ClearUpdate, RoundShapes
from securefl.engine.fleet import Fleet
from securefl.engine.losses import Losses
from securefl.engine.phone import Shown
from securefl.errors import TooFewSurvivorsError
from securefl.federation.progress import Progress
from securefl.federation.records import PHASES, RoundRecord
from securefl.federation.setup import Setup
from securefl.models import TableSlice, Weights
from securefl.secagg import cut
from securefl.secagg.messages import AdvertiseKeys, ConsistencyCheck, MaskedInput, ShareKeys, Unmasking
from securefl.secagg.summing import packed_bytes
from securefl.submodel import UNION, UPDATE, RoundSums, RowSums, indexset
from securefl.submodel.messages import Claim
from securefl.submodel.plan import DENSE
from securefl.submodel.rows import HALF_FLOAT, followed, from_wire, row_floor, to_wire

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Claims:
    """Who asked for which rows of one table: `own` by client, and all of them with how many ask, ascending."""

    own: Mapping[bytes, Indices]
    rows: Indices
    counts: Indices

    @classmethod
    def of(cls, own: Mapping[bytes, Indices]) -> Claims:
        """From what each client asked for."""
        rows, counts = np.unique(np.concatenate(list(own.values())), return_counts=True)
        return cls(own, rows, counts)


class PlainRound:
    """One round over the phones `names` of a fleet. Bytes are of the contents alone: no keys, no framing."""

    def __init__(
        self,
        number: int,
        setup: Setup,
        weights: Weights,
        fleet: Fleet,
        names: Sequence[bytes],
        losses: Losses,
        progress: Progress,
    ) -> None:
        self._number, self._setup, self._weights = number, setup, weights
        self._fleet, self._names, self._losses, self._progress = fleet, names, losses, progress
        self._union, self._held = np.zeros(0, np.int64), np.zeros(0, np.int64)
        self._opened: RoundSums | None = None
        self._finishers: list[bytes] = []
        self._abort: str | None = None
        self._up, self._down = dict.fromkeys(PHASES, 0.0), dict.fromkeys(PHASES, 0.0)
        self._seconds, self._since = dict.fromkeys(PHASES, 0.0), time.perf_counter()

    def play(self) -> RoundSums | None:
        """The round's sums; None if too few clients were left."""
        try:
            roster = self._left(self._names, AdvertiseKeys)
            claims = self._claims(self._find_union(self._left(roster, ShareKeys)))
            self._opened = self._update(roster, claims)
        except TooFewSurvivorsError as error:
            self._abort = str(error)
        return self._opened

    def record(self) -> RoundRecord:
        """What the round was like."""
        response, opened = self._setup.plan.two_stage, self._opened
        found = np.intersect1d(self._union, self._held, assume_unique=True).size
        return RoundRecord(
            round=self._number,
            exact=True,
            completed=opened is not None,
            abort=self._abort,
            auc=None,
            clients=len(self._names),
            finishers=len(self._finishers),
            bytes_up_per_client=sum(self._up.values()),
            bytes_down_per_client=sum(self._down.values()),
            bytes_up=self._up,
            bytes_down=self._down,
            union_size=self._union.size,
            union_false=self._union.size - found,
            union_lost=self._held.size - found,
            rows_uploaded=0 if opened is None else sum(t.indices.size for t in opened.tables.values()),
            rows_left_out=0 if opened is None else opened.rows_left_out,
            epsilon_claims_round=float(response.epsilon_round()),
            epsilon_claims_ever=float(response.epsilon_ever()),
            dropouts=self._losses.by_phase,
            seconds=self._seconds,
        )

    def _left(
        self, clients: Sequence[bytes], message: type, one: str | None = None, needed: int | None = None
    ) -> list[bytes]:
        """Who is left after a step of the secure round; as few as end that one end this."""
        left = [name for name in clients if not self._losses.strikes(name, message, one)]
        least = self._setup.params.threshold + 1 if needed is None else needed
        if len(left) < least:
            raise TooFewSurvivorsError(len(left), least)
        return left

    def _sum(self, clients: Sequence[bytes], one: str) -> tuple[list[bytes], list[bytes]]:
        """Whose inputs are in a sum, and who answers to the end of it."""
        params = self._setup.params
        summed = answering = self._left(clients, MaskedInput, one, params.needed)
        if params.malicious:
            answering = self._left(answering, ConsistencyCheck, one)
        return summed, self._left(answering, Unmasking, one)

    def _find_union(self, live: Sequence[bytes]) -> list[bytes]:
        summed, answering = self._sum(live, UNION)
        clear, segment = self._fleet.clear_union(summed), self._setup.params.sum(UNION).segments[0]
        self._held, cells = clear.held, cut(segment, clear.cells)
        self._union = psu.decode(self._setup.plan.union_plan, cells, progress=self._progress.decoding)
        self._ended(UNION, len(answering), up=packed_bytes(segment))
        return answering

    def _claims(self, answering: Sequence[bytes]) -> dict[str, Claims]:
        """What live clients ask for, by table. Every one that was told the union has claimed, heard or not."""
        union, plan, maps = self._union, self._setup.plan, self._setup.maps
        sent = self._fleet.claim(union, answering)
        items = {name: sent[name] for name in self._left(answering, Claim)}
        sizes = [len(indexset.encode(np.searchsorted(union, rows), union.size)) for rows in items.values()]
        announced = indexset.encode(union, plan.union_plan.universe)
        self._ended("claim", len(items), up=fmean(sizes), down=len(announced))
        followers = {
            table.name: Claims.of({name: followed(rows, maps[table.name]) for name, rows in items.items()})
            for table in plan.tables[1:]
        }
        return {plan.tables[0].name: Claims.of(items), **followers}

    def _update(self, roster: Sequence[bytes], claims: Mapping[str, Claims]) -> RoundSums:
        setup, live = self._setup, list(next(iter(claims.values())).own)
        floor = row_floor(setup.plan, setup.params, len(live))
        up = {table: one.rows[one.counts >= floor] for table, one in claims.items()}
        self._fleet.train(self._shown(claims), live)
        summed, finishers = self._sum(live, UPDATE)
        self._ended("train", len(summed), down=self._downloaded(claims))
        shapes = RoundShapes(setup.plan.dense, up, {table.name: table.width for table in setup.plan.tables})
        total = self._fleet.clear_update(summed, shapes)
        self._finishers = finishers
        self._ended(UPDATE, len(finishers), up=self._uploaded(claims, up))
        left_out = sum(int((one.counts < floor).sum()) for one in claims.values())
        ranks = {name: rank for rank, name in enumerate(sorted(roster), start=1)}
        return _opened(self._union, total, up, left_out, sorted(ranks[name] for name in summed))

    def _shown(self, claims: Mapping[str, Claims]) -> Shown:
        """The model as the wire rounds it: the dense layers, and all rows that somebody asks for."""
        dense, tables = self._weights.dense, self._weights.tables
        rows = {name: TableSlice(one.rows, from_wire(to_wire(tables[name][one.rows]))) for name, one in claims.items()}
        return Shown(from_wire(to_wire(dense)), rows)

    def _downloaded(self, claims: Mapping[str, Claims]) -> float:
        plan = self._setup.plan
        rows = sum(table.width * fmean(one.size for one in claims[table.name].own.values()) for table in plan.tables)
        return HALF_FLOAT.itemsize * (plan.dense + rows)

    def _uploaded(self, claims: Mapping[str, Claims], up: Mapping[str, Indices]) -> float:
        segments = {segment.name: segment for segment in self._setup.params.sum(UPDATE).segments}
        rows = (
            fmean(packed_bytes(segments[table], int(np.isin(own, up[table]).sum())) for own in one.own.values())
            for table, one in claims.items()
        )
        return packed_bytes(segments[DENSE]) + sum(rows)

    def _ended(self, phase: str, clients: int, *, up: float = 0.0, down: float = 0.0) -> None:
        now = time.perf_counter()
        self._seconds[phase], self._since = now - self._since, now
        self._up[phase], self._down[phase] = float(up), float(down)
        self._progress.phase(phase, clients, len(self._names))


def _opened(
    union: Indices, total: ClearUpdate, up: Mapping[str, Indices], left_out: int, survivors: Sequence[int]
) -> RoundSums:
    """A clear sum in the shape of an opened one."""
    tables = {name: RowSums(up[name], values[:, :-1], values[:, -1]) for name, values in total.tables.items()}
    return RoundSums(union, tables, total.dense[:-1], int(total.dense[-1]), left_out, tuple(survivors))
