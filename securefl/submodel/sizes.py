"""Bytes of a submodel round before it runs: real frames with empty contents, as `secagg.sizes` has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

import msgspec

from securefl.secagg import Params
from securefl.secagg.sizes import Traffic, plain_session
from securefl.secagg.summing import packed_bytes
from securefl.submodel.messages import Claim, Submodel, TableSlice, UnionAnnounced, to_client, to_server
from securefl.submodel.plan import UPDATE, SubmodelPlan
from securefl.submodel.rows import HALF_FLOAT

__all__ = ["Load", "round_traffic", "index_bytes"]


@dataclass(frozen=True, slots=True)
class Load:
    """What one client asks for in a round, on average."""

    union: float
    """Indices announced."""
    claimed: float
    """Of them, how many a client claims."""
    down: Mapping[str, float]
    """By table: rows that come down."""
    up: Mapping[str, float]
    """By table: rows that reach the row floor, and go up."""


def round_traffic(params: Params, plan: SubmodelPlan, load: Load) -> Traffic:
    """Bytes of one client in one round without losses, every message and key counted."""
    keys = plain_session(params)
    segments = {segment.name: segment for segment in params.sum(UPDATE).segments}
    rows = sum(packed_bytes(segments[name], ceil(count)) for name, count in load.up.items())
    claim = to_server.encode(Claim(bytes(index_bytes(load.claimed, load.union))))
    down: list[Any] = [
        UnionAnnounced(bytes(index_bytes(load.union, plan.union_plan.universe))),
        _rows(params, plan, load),
    ]
    invited = len(msgspec.msgpack.encode(plan))
    return Traffic(keys.up + rows + len(claim), keys.down + invited + sum(len(to_client.encode(one)) for one in down))


def index_bytes(chosen: float, size: float) -> int:
    """Bytes of `indexset.encode` for a random subset, on average: a gap of 128^i or more takes i + 1 bytes."""
    share = min(1.0, chosen / size) if size else 0.0
    gaps = chosen * float(1 + sum((1 - share) ** (128**i) for i in range(1, 6)))
    return 1 + ceil(min(gaps, size / 8))


def _rows(params: Params, plan: SubmodelPlan, load: Load) -> Submodel:
    n = params.clients
    slices = [
        TableSlice(bytes(ceil(rows) * table.width * HALF_FLOAT.itemsize), bytes(ceil(ceil(rows) * n / 8)))
        for table, rows in ((table, load.down[table.name]) for table in plan.tables)
    ]
    return Submodel(list(range(1, n + 1)), bytes(plan.dense * HALF_FLOAT.itemsize), slices)
