"""Private set union: from index sets to blinded residues, and from their sum, which others supply, to the union."""

from __future__ import annotations

from psu.encoding import Progress, decode, decode_chunks, encode
from psu.errors import EncodingError, OversizedUnionError, PlanError, UnionError
from psu.plan import Kind, UnionPlan
from psu.planning import LOSS_TARGET, plan_union

__all__ = [
    "UnionPlan",
    "plan_union",
    "encode",
    "decode",
    "decode_chunks",
    "Kind",
    "Progress",
    "LOSS_TARGET",
    "UnionError",
    "PlanError",
    "EncodingError",
    "OversizedUnionError",
]
