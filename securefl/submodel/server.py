"""The server of a submodel round: opens the union, serves claims, opens per-row sums and counts. Nothing else."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import psu
from securefl.crypto import Private
from securefl.errors import LocalProtocolError, RemoteProtocolError, TooFewSurvivorsError, UnexpectedMessageError
from securefl.secagg import Outgoing, Params, Server, cut, signed
from securefl.secagg.keys import Rng
from securefl.secagg.recovery import Cohort
from securefl.submodel import indexset
from securefl.submodel.indexset import Indices
from securefl.submodel.messages import Claim, RoundInvitation, Submodel, TableSlice, UnionAnnounced
from securefl.submodel.plan import CELLS, DENSE, UNION, UPDATE, PublicMap, SubmodelPlan, check_maps
from securefl.submodel.rows import ClaimedRows, followed, pack_claimants, row_floor, to_wire, update_opening


@dataclass(frozen=True, slots=True)
class RowSums:
    """What the server learns of one table: int64 sums (R, width) and weights (R,) of the rows that went up."""

    indices: Indices
    sums: NDArray[np.int64]
    counts: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class RoundSums:
    """What the server learns of a round."""

    union: Indices
    tables: Mapping[str, RowSums]
    dense: NDArray[np.int64]
    dense_count: int
    rows_left_out: int
    """Claimed rows, over all tables, with fewer claimants than the row floor."""
    survivors: tuple[int, ...]


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class AwaitingClaims(Private):
    """The union is announced."""

    cohort: Cohort
    union: Indices
    encoded: bytes


class SubmodelServer(Server):
    """One round over a fixed model: `dense` float32 (D,); `tables` by name, float32 (rows, width).

    A union of more than `max_union` indices is not opened. `on_tested` hears how far the test of the universe is.
    """

    rows_are_known = True

    def __init__(
        self,
        params: Params,
        plan: SubmodelPlan,
        dense: NDArray[np.float32],
        tables: Mapping[str, NDArray[np.float32]],
        invited: Collection[bytes],
        *,
        maps: Mapping[str, PublicMap] | None = None,
        session: bytes | None = None,
        max_union: int = 1 << 24,
        on_tested: psu.Progress | None = None,
        rng: Rng = os.urandom,
    ) -> None:
        super().__init__(params, invited, session=session, rng=rng)
        self._max_union, self._on_tested = max_union, on_tested
        self._plan, self._maps = plan, dict(maps or {})
        check_maps(plan, self._maps)
        _check_model(params, plan, dense, tables)
        self._dense, self._tables = to_wire(dense).tobytes(), dict(tables)
        self._rows_left_out = 0
        self._row_indices: dict[str, Indices] = {}
        self.union: Indices | None = None

    @property
    def sums(self) -> RoundSums:
        """The opened sums; only once the round is over."""
        if UPDATE not in self.results or self.union is None:
            raise UnexpectedMessageError("the round's sums are not opened yet")
        segments = {s.name: s for s in self.params.sum(UPDATE).segments}
        opened = {name: signed(segments[name], total) for name, total in self.results[UPDATE].items()}
        tables = {
            name: RowSums(indices, opened[name][:, :-1], opened[name][:, -1])
            for name, indices in self._row_indices.items()
        }
        dense = opened[DENSE]
        return RoundSums(self.union, tables, dense[:-1], int(dense[-1]), self._rows_left_out, self.survivors[UPDATE])

    def _invitation(self) -> Any:
        return RoundInvitation(self.session, self.params, self._plan)

    def _take(self, sender: bytes, message: Any) -> Any:
        match self._state, message:
            case AwaitingClaims(_, union, _), Claim(positions):
                indexset.decode(positions, union.size)
            case AwaitingClaims(), _:
                raise UnexpectedMessageError(f"{type(message).__name__} is not awaited")
            case _:
                return super()._take(sender, message)
        return message

    def _close(self, heard: Mapping[bytes, Any]) -> Outgoing:
        match self._state:
            case AwaitingClaims() as state:
                return self._close_claims(state, {self.id_of(name): m.positions for name, m in heard.items()})
        return super()._close(heard)

    def _next(self) -> Outgoing:
        """After the union: announce it. After the update: nothing."""
        if UPDATE in self.results:
            return {}
        cohort = self._resting()
        self.union = union = self._opened_union()
        encoded = indexset.encode(union, self._plan.union_plan.universe)
        live = {self.name_of(client) for client in cohort.live}
        return self._wait(AwaitingClaims(cohort, union, encoded), dict.fromkeys(live, UnionAnnounced(encoded)))

    def _opened_union(self) -> Indices:
        """The indices of the universe that are in the sum; `RemoteProtocolError` if they are too many."""
        cells = cut(self.params.sum(UNION).segments[0], self.results[UNION][CELLS])
        try:
            return psu.decode(self._plan.union_plan, cells, limit=self._max_union, progress=self._on_tested)
        except psu.OversizedUnionError:
            raise RemoteProtocolError(
                f"a union of more than max_union={self._max_union} indices is not opened: a client may have set "
                "every cell, or the plan expected too few"
            ) from None

    def _close_claims(self, state: AwaitingClaims, claims: Mapping[int, bytes]) -> Outgoing:
        live = tuple(sorted(claims))
        if len(live) <= self.params.threshold:
            raise TooFewSurvivorsError(len(live), self.params.threshold + 1)
        claimed = {u: state.union[indexset.decode(data, state.union.size)] for u, data in claims.items()}
        tables = {t.name: self._claimed_rows(t.name, claimed, live) for t in self._plan.tables}
        floor = row_floor(self._plan, self.params, len(live))
        self._row_indices = {name: t.indices[t.above(floor)] for name, t in tables.items()}
        self._rows_left_out = sum(int((~t.above(floor)).sum()) for t in tables.values())
        opening = update_opening(self.session, floor, self.params.sum(UPDATE), live, state.encoded, self._dense, tables)
        outgoing = {self.name_of(u): self._submodel(live, tables, at) for at, u in enumerate(live)}
        return self._open(state.cohort, opening, outgoing)

    def _claimed_rows(self, table: str, claimed: Mapping[int, Indices], live: tuple[int, ...]) -> ClaimedRows:
        """Every row of a table that somebody claims, with all its claimants."""
        follows = self._maps.get(table)
        own = [claimed[u] if follows is None else followed(claimed[u], follows) for u in live]
        indices = np.unique(np.concatenate(own))
        claimants = np.zeros((indices.size, len(live)), np.bool_)
        for column, rows in enumerate(own):
            claimants[np.searchsorted(indices, rows), column] = True
        return ClaimedRows(indices, to_wire(self._tables[table][indices]), claimants)

    def _submodel(self, live: tuple[int, ...], tables: Mapping[str, ClaimedRows], column: int) -> Submodel:
        """What one claimant downloads."""
        parts = []
        for table in tables.values():
            own = table.claimants[:, column]
            parts.append(TableSlice(table.data[own].tobytes(), pack_claimants(table.claimants[own])))
        return Submodel(list(live), self._dense, parts)


def _check_model(
    params: Params, plan: SubmodelPlan, dense: NDArray[np.float32], tables: Mapping[str, NDArray[np.float32]]
) -> None:
    """Raise `LocalProtocolError` unless the parameters carry the plan and the model has exactly its shapes."""
    if (params.plan, params.sums) != (plan.hash, plan.sums):
        raise LocalProtocolError("params: they carry another plan; take them from plan.params")
    expected = {table.name: (table.rows, table.width) for table in plan.tables}
    if dense.shape != (plan.dense,) or {name: table.shape for name, table in tables.items()} != expected:
        raise LocalProtocolError(f"the plan's model is dense {(plan.dense,)} and tables {expected}, not what is given")
