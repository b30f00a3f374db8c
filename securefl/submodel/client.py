"""A client of a submodel round: union, claim, download, upload. The index set never leaves it but under a mask."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

import dp
import psu
from securefl.crypto import Identity, Private
from securefl.errors import (
    ConfigurationError,
    FaultyServerError,
    LocalProtocolError,
    MessageError,
    SecureFLError,
    UnexpectedMessageError,
)
from securefl.secagg import Limits, Opening, Params, Participant, messages, suspension
from securefl.secagg.consistency import ViewSigned
from securefl.secagg.journal import Journal
from securefl.secagg.keys import Rng
from securefl.secagg.uploading import InputMasked, Ready
from securefl.submodel import indexset
from securefl.submodel.indexset import Indices
from securefl.submodel.messages import Claim, RoundInvitation, Submodel, UnionAnnounced
from securefl.submodel.plan import UNION, UPDATE, PublicMap, SubmodelPlan, check_maps
from securefl.submodel.rows import HALF_FLOAT, ClaimedRows, followed, row_floor, unpack_claimants, update_opening
from securefl.submodel.update import QuantizedUpdate, noised, padded


@dataclass(frozen=True, slots=True)
class SubmodelLimits:
    """A client's own bounds for a round; like `Limits`, never taken from the server."""

    min_row_floor: int = 1
    max_cells: int = 1 << 28
    max_union: int = 1 << 24
    min_noise: float = 0.0
    """Deviation of the noise over the radius of the ball, at least; 0 takes part in exact sums too."""


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Claimed(Private):
    """State after Claim."""

    ready: Ready
    union: bytes
    indices: Indices
    """The claimed indices, ascending: held ones and fillers."""


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Downloaded(Private):
    """State after the submodel arrived: training goes on outside, `upload` takes its result."""

    ready: Ready
    opening: Opening
    floor: int
    """Claimants below which a row stays out of the upload."""
    dense: NDArray[np.float32]
    """float32 (D,)"""
    tables: Mapping[str, ClaimedRows]

    def rows(self, table: str) -> tuple[Indices, NDArray[np.float32]]:
        """Claimed rows of a table: indices int64 (R,) and values float32 (R, width)."""
        return self.tables[table].indices, self.tables[table].values()


suspension.register(Claimed, lambda state: bytes(state.ready.keys.setup.session))
suspension.register(Downloaded, lambda state: bytes(state.ready.keys.setup.session))


class SubmodelClient(Participant):
    """One client in one round.

    `index_set`: int64, sorted, the rows its data touches. `maps`: the public map of each following table.
    `memo`: its permanent answers, kept for ever. `ledger`: what it may spend on claims and, in rounds with noise, on
    sums; without one nothing is refused. `noise_rng`: of its share of the noise.
    """

    def __init__(
        self,
        identity: Identity,
        registry: Collection[bytes],
        index_set: Indices,
        memo: dp.Memo,
        *,
        ledger: dp.Ledger | None = None,
        maps: Mapping[str, PublicMap] | None = None,
        limits: Limits | None = None,
        submodel_limits: SubmodelLimits | None = None,
        journal: Journal | None = None,
        rng: Rng = os.urandom,
        key_rng: Rng = os.urandom,
        noise_rng: Rng = os.urandom,
    ) -> None:
        super().__init__(identity, registry, limits=limits, journal=journal, rng=key_rng)
        self._noise_rng = noise_rng
        self._index_set = dp.check_indices(index_set, "index_set", error=ConfigurationError)
        self._memo, self._ledger, self._maps, self._claim_rng = memo, ledger, dict(maps or {}), rng
        self._submodel_limits = submodel_limits or SubmodelLimits()
        self._plan: SubmodelPlan | None = None

    @property
    def download(self) -> Downloaded:
        """What the server sent, once it has."""
        if not isinstance(self._state, Downloaded):
            raise LocalProtocolError("no submodel was downloaded, or it was already answered")
        return self._state

    def upload(self, update: QuantizedUpdate) -> list[Any]:
        """Mask and send an update: zeros where a claimed row has none, nothing of rows below the floor.

        In a round with noise the update lies in its ball and counts 1 everywhere; this client's share is added here.
        """
        state = self.download
        try:
            values = self._values(state, self._noised(state, update))
            self._state = state.ready
            return self._enter(state.opening, values)
        except SecureFLError as error:
            self.abort(str(error))
            raise

    def suspend(self) -> bytes:
        """See `Participant`."""
        return msgspec.msgpack.encode((self._plan, super().suspend()))

    def resume(self, data: bytes) -> None:
        """See `Participant`."""
        plan, session = suspension.unpack(data, tuple[SubmodelPlan | None, bytes])
        super().resume(session)
        self._plan = plan

    def _step(self, message: Any) -> list[Any]:
        if isinstance(message, RoundInvitation):
            self._accept_plan(message.params, message.plan)
            message = messages.Invitation(message.session, message.params)
        return super()._step(message)

    def _accept_plan(self, params: Params, plan: SubmodelPlan) -> None:
        own = self._submodel_limits
        try:
            agreed = plan.check().params(
                clients=params.clients,
                threshold=params.threshold,
                colluders=params.colluders,
                kem=params.kem,
                setting=params.setting,
                min_survivors=params.min_survivors,
            )
        except ConfigurationError as error:
            raise FaultyServerError(f"the plan cannot be kept: {error}") from None
        if agreed != params:
            raise FaultyServerError("the plan is not the one whose hash the parameters carry")
        if plan.row_floor < own.min_row_floor or plan.union_plan.cells > own.max_cells:
            raise FaultyServerError(
                f"the plan is refused: row floor at least {own.min_row_floor}, at most {own.max_cells} cells"
            )
        noise = 0.0 if plan.noise is None else plan.noise.multiplier
        if noise < own.min_noise:
            raise FaultyServerError(
                f"the plan is refused: noise of {noise:.3g} times an update's radius; at least {own.min_noise:g}"
            )
        try:
            check_maps(plan, self._maps)
        except ConfigurationError:
            raise FaultyServerError("the plan names a public map that this client does not have") from None
        if self._index_set.size and self._index_set[-1] >= plan.tables[0].rows:
            raise LocalProtocolError(f"index_set: indices must be below the first table's {plan.tables[0].rows} rows")
        self._plan = plan

    def _on_ready(self, ready: Ready) -> list[Any]:
        plan = self._agreed()
        try:
            cells = psu.encode(plan.union_plan, self._index_set, self._claim_rng)
        except (psu.UnionError, dp.PrivacyError) as error:
            raise LocalProtocolError(f"the index set does not fit the round: {error}") from None
        live = (ready.keys.id, *sorted(ready.neighbours))
        return self._enter(Opening(ready.keys.setup.params.sum(UNION), live), [cells])

    def _on_other(self, message: Any) -> list[Any]:
        match self._state, message:
            case Ready() | InputMasked() | ViewSigned(), UnionAnnounced(union):
                ready = self._between_sums()
                if UPDATE in ready.closed:
                    raise UnexpectedMessageError("a second union: this client has sent its update")
                return self._claim(replace(ready, closed=ready.closed | {UNION}), union)
            case Claimed() as state, Submodel():
                self._state = self._downloaded(state, message)
                return []
        return super()._on_other(message)

    def _claim(self, ready: Ready, encoded: bytes) -> list[Any]:
        plan = self._agreed()
        announced = indexset.count(encoded)
        if announced > self._submodel_limits.max_union:
            raise FaultyServerError(
                f"a union of {announced} indices is refused; at most {self._submodel_limits.max_union}"
            )
        union = indexset.decode(encoded, plan.union_plan.universe)
        try:
            claims = dp.privatize(
                plan.two_stage, union, self._index_set, self._memo, self._claim_rng, ledger=self._ledger
            )
        except dp.PrivacyError as error:
            raise LocalProtocolError(f"no claim can be made: {error}") from None
        positions = np.flatnonzero(claims).astype(np.int64)
        self._state = Claimed(ready, encoded, union[positions])
        return [Claim(indexset.encode(positions, union.size))]

    def _downloaded(self, state: Claimed, message: Submodel) -> Downloaded:
        """Check shapes and one's own place in what the server sent; lies about it only keep masks from cancelling."""
        plan, me, live = self._agreed(), state.ready.keys.id, tuple(message.live)
        if me not in live or list(live) != sorted(set(live)):
            raise FaultyServerError("the live clients are not ascending ids that include this client's")
        if len(message.dense) != plan.dense * HALF_FLOAT.itemsize or len(message.tables) != len(plan.tables):
            raise FaultyServerError("the submodel does not have the plan's shapes")
        tables = {}
        for table, part in zip(plan.tables, message.tables, strict=True):
            own = state.indices if table is plan.tables[0] else followed(state.indices, self._maps[table.name])
            tables[table.name] = _claimed_rows(own, table.width, part.rows, part.claimants, len(live))
            if not tables[table.name].claimants[:, live.index(me)].all():
                raise FaultyServerError("a claimed row is shown without this client among its claimants")
        setup = state.ready.keys.setup
        floor = row_floor(plan, setup.params, len(live))
        update = setup.params.sum(UPDATE)
        opening = update_opening(setup.session, floor, update, live, state.union, message.dense, tables)
        dense = np.frombuffer(message.dense, HALF_FLOAT).astype(np.float32)
        return Downloaded(state.ready, opening, floor, dense, tables)

    def _noised(self, state: Downloaded, update: QuantizedUpdate) -> QuantizedUpdate:
        """With noise, if the round agreed on some; charged before it leaves, also if the round then fails."""
        plan, params = self._agreed(), state.ready.keys.setup.params
        if plan.noise is None:
            return update
        out = noised(plan, params, update, {n: table.indices for n, table in state.tables.items()}, self._noise_rng)
        try:
            if self._ledger is not None:
                self._ledger.charge_release(plan.noise.release(plan.numbers))
        except dp.PrivacyError as error:
            raise LocalProtocolError(f"no update can be sent: {error}") from None
        return out

    def _values(self, state: Downloaded, update: QuantizedUpdate) -> list[NDArray[np.int64]]:
        """An update as one array for each segment of the sum."""
        if update.tables.keys() != state.tables.keys():
            raise LocalProtocolError("an update names exactly the tables of the plan")
        widths = {segment.name: segment.words for segment in state.opening.sum.segments}
        rows = [
            padded(table.indices, *update.tables[name], widths[name])[table.above(state.floor)]
            for name, table in state.tables.items()
        ]
        return [update.dense, *rows]

    def _agreed(self) -> SubmodelPlan:
        if self._plan is None:
            raise LocalProtocolError("no round was agreed on")
        return self._plan


def _claimed_rows(indices: Indices, width: int, rows: bytes, claimants: bytes, live: int) -> ClaimedRows:
    row_bytes = width * HALF_FLOAT.itemsize
    if len(rows) != indices.size * row_bytes:
        raise FaultyServerError("the rows are not as many as were claimed")
    data = np.frombuffer(rows, np.uint8).reshape(indices.size, row_bytes)
    try:
        return ClaimedRows(indices, data, unpack_claimants(claimants, indices.size, live))
    except MessageError as error:
        raise FaultyServerError(f"the submodel does not have the plan's shapes: {error}") from None
