"""The public plan of a submodel round: the tables, the union, the claims, the row floor and the ring."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

import dp
import psu
from securefl.errors import ConfigurationError
from securefl.secagg import Params, Segment, Sum
from securefl.secagg.params import Setting
from securefl.secagg.quantize import Quantization
from securefl.submodel.noise import UpdateNoise
from securefl.transcript import Label, digest, transcript_hash
from securefl.wire import Message, Name

UNION, UPDATE, CELLS, DENSE = "union", "update", "cells", "dense"

Probability = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,18}(/[0-9]{1,18})?\Z", max_length=40)]
"""An exact fraction as text."""

PublicMap = NDArray[np.int64]
"""For each index of the universe, the row of another table that goes with it."""

ShortText = Annotated[str, msgspec.Meta(max_length=256)]


class Table(Message, frozen=True):
    """An embedding table. The first of a plan is claimed by index; a further one follows a public map of it."""

    name: Name
    rows: Annotated[int, msgspec.Meta(ge=1, le=1 << 40)]
    width: Annotated[int, msgspec.Meta(ge=1, le=1 << 16)]
    map_hash: Annotated[bytes, msgspec.Meta(max_length=32)] = b""
    """Hash of the public map from the first table's indices to this one's rows; empty for the first table."""


class SubmodelPlan(Message, frozen=True):
    """Everything public of a round beyond `secagg.Params`, which carry its hash."""

    union: Annotated[bytes, msgspec.Meta(max_length=256)]
    """A `psu.UnionPlan`, encoded."""
    response: tuple[Probability, Probability, Probability, Probability]
    """p1..p4 as exact fractions."""
    tables: Annotated[tuple[Table, ...], msgspec.Meta(min_length=1, max_length=14)]
    dense: Annotated[int, msgspec.Meta(ge=1, le=(1 << 32) - 1)]
    """Dense parameters of the model; their sum has one word more."""
    row_floor: Annotated[int, msgspec.Meta(ge=1, le=1 << 20)]
    """Claimants below which every claimant leaves a row out: honest ones wanted + colluders (+ losses, malicious)."""
    ring_bits: Annotated[int, msgspec.Meta(ge=2, le=64)]
    row_quantization: Quantization
    dense_quantization: Quantization
    training: Annotated[tuple[tuple[ShortText, ShortText], ...], msgspec.Meta(max_length=64)] = ()
    """The training settings as (name, value), so that no client can be given others in secret."""
    noise: UpdateNoise | None = None
    """In every opened number but counts; None: sums are exact."""

    @property
    def hash(self) -> bytes:
        """32 bytes that stand for the plan."""
        return transcript_hash(Label.PLAN, msgspec.msgpack.encode(self))

    def check(self) -> SubmodelPlan:
        """Return self if the plan makes sense; else `ConfigurationError` with the setting to change."""
        try:
            universe = self.union_plan.universe
            _ = self.two_stage
        except (ValueError, ZeroDivisionError):  # psu's and dp's own refusals, whose text may quote the other side
            raise ConfigurationError("union or response: not one that this code can keep") from None
        if universe != self.tables[0].rows:
            raise ConfigurationError("union: its universe is not the first table's rows")
        if self.tables[0].map_hash:
            raise ConfigurationError("tables: the first one follows no map; leave its map_hash empty")
        return self

    @property
    def union_plan(self) -> psu.UnionPlan:
        """How index sets are encoded for the union."""
        return _union_plan(self.union)

    @property
    def two_stage(self) -> dp.TwoStage:
        """The randomized response of the claims."""
        return dp.TwoStage(*map(Fraction, self.response))

    @property
    def numbers(self) -> int:
        """Numbers of the shared model, counts left out."""
        return self.dense + sum(table.rows * table.width for table in self.tables)

    def honest_shares(self, params: Params) -> tuple[int, int]:
        """Honest clients that are sure to be in the sum of a dense number, and in that of a row that goes up."""
        return params.needed - params.colluders, self.row_floor - params.colluders

    @property
    def sums(self) -> tuple[Sum, Sum]:
        """The two sums of the session: the blinded union, and the weighted updates with their counts."""
        cells = Segment(CELLS, self.union_plan.bits, self.union_plan.cells)
        dense = Segment(DENSE, self.ring_bits, self.dense + 1)
        rows = tuple(Segment(t.name, self.ring_bits, t.width + 1, True) for t in self.tables)
        return Sum(UNION, (cells,)), Sum(UPDATE, (dense, *rows))

    def params(
        self,
        *,
        clients: int,
        threshold: int,
        colluders: int,
        kem: str,
        setting: Setting = "semi_honest",
        min_survivors: int | None = None,
    ) -> Params:
        """The session's parameters; `ConfigurationError` names the setting that cannot be kept."""
        for how in (self.row_quantization, self.dense_quantization):
            how.check(self.ring_bits, clients)
        if self.row_floor > clients:
            raise ConfigurationError(f"row floor: no row can have {self.row_floor} claimants among {clients} clients")
        if clients > self.check().union_plan.clients:
            raise ConfigurationError(f"union: made for {self.union_plan.clients} clients, the cohort has {clients}")
        agreed = Params(clients, threshold, colluders, kem, self.sums, None, self.hash, setting, min_survivors)
        if self.noise is not None:
            hows = self.row_quantization, self.dense_quantization
            self.noise.check(clients, self.honest_shares(agreed), hows, self.ring_bits)
        return agreed.check()


def map_hash(public_map: PublicMap) -> bytes:
    """The hash of a public map, for `Table.map_hash`."""
    return digest(Label.PLAN, "map", np.ascontiguousarray(public_map, "<i8").tobytes())


def check_maps(plan: SubmodelPlan, maps: Mapping[str, PublicMap]) -> None:
    """Raise `ConfigurationError` unless `maps` are the ones the plan's followers name."""
    for table in plan.tables[1:]:
        given = maps.get(table.name)
        if given is None or given.shape != (plan.tables[0].rows,) or map_hash(given) != table.map_hash:
            raise ConfigurationError(f"tables: the public map of {table.name!r} is not the one in the plan")


@lru_cache(maxsize=16)
def _union_plan(encoded: bytes) -> psu.UnionPlan:
    return psu.UnionPlan.from_bytes(encoded)
