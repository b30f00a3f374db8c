"""Rows of a submodel: their bytes, who claims them, and which go up. Client and server compute them alike."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from securefl.errors import MessageError
from securefl.secagg import Opening, Params, Rows, Sum
from securefl.submodel.indexset import Indices
from securefl.submodel.plan import UPDATE, PublicMap, SubmodelPlan
from securefl.transcript import Label, digest, encode, length_prefixed

HALF_FLOAT = np.dtype("<f2")


@dataclass(frozen=True, slots=True)
class ClaimedRows:
    """Rows of one table.

    `indices` int64 (R,) ascending; `data` uint8 (R, 2 * width) as on the wire; `claimants` bool (R, L).
    """

    indices: Indices
    data: NDArray[np.uint8]
    claimants: NDArray[np.bool_]

    def values(self) -> NDArray[np.float32]:
        """The rows as numbers, float32 (R, width)."""
        return from_wire(self.data)

    def above(self, floor: int) -> NDArray[np.bool_]:
        """Which rows have enough claimants to go up, bool (R,)."""
        return np.asarray(self.claimants.sum(axis=1) >= floor)


def row_floor(plan: SubmodelPlan, params: Params, live: int) -> int:
    """Claimants below which a row is left out by all: a function of what everybody knows, so that all decide alike.

    A lying server could invent claimants and declare them lost, as many as may be lost: `live - needed`. As many shares
    of noise may be lost with their clients, whoever the server is.
    """
    losses = max(0, live - params.needed) if params.malicious or plan.noise is not None else 0
    return plan.row_floor + losses


def followed(claimed: Indices, public_map: PublicMap) -> Indices:
    """The rows of a following table that go with claimed indices."""
    return np.unique(public_map[claimed])


def to_wire(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Numbers as 16-bit floats, uint8 (R, 2 * width): what every claimant is sent. Too large ones are clipped."""
    limit = np.finfo(np.float16).max
    return np.ascontiguousarray(np.clip(values, -limit, limit).astype(HALF_FLOAT)).view(np.uint8)


def from_wire(data: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The numbers that `to_wire` sent, float32 (R, width)."""
    return data.view(HALF_FLOAT).astype(np.float32)


def pack_claimants(claimants: NDArray[np.bool_]) -> bytes:
    """Bits row after row, LSB first."""
    return np.packbits(claimants.reshape(-1), bitorder="little").tobytes()


def unpack_claimants(data: bytes, rows: int, live: int) -> NDArray[np.bool_]:
    """bool (rows, live); `MessageError` on a wrong length or a bit beyond the last."""
    if len(data) != -(-rows * live // 8) or (rows * live % 8 and data[-1] >> (rows * live % 8)):
        raise MessageError("claimants of the wrong length")
    bits = np.unpackbits(np.frombuffer(data, np.uint8), count=rows * live, bitorder="little")
    return bits.astype(np.bool_).reshape(rows, live)


def row_digests(session: bytes, table: str, rows: ClaimedRows) -> NDArray[np.uint8]:
    """One hash a row, uint8 (R, 32), of its index and bytes: `digest(ROW, session, sum, table, index, bytes)`."""
    common = hashlib.sha256(encode(Label.ROW, session, UPDATE, table))
    out = bytearray()
    for index, data in zip(rows.indices.tolist(), rows.data, strict=True):
        one = common.copy()
        one.update(length_prefixed(index.to_bytes(8, "big")) + length_prefixed(data.tobytes()))
        out += one.digest()
    return np.frombuffer(bytes(out), np.uint8).reshape(-1, 32)


def update_opening(
    session: bytes,
    floor: int,
    update: Sum,
    live: tuple[int, ...],
    union: bytes,
    dense: bytes,
    tables: Mapping[str, ClaimedRows],
) -> Opening:
    """The opening of the sum `update` as seen by one party: bound to the union, to the dense bytes and to every row."""
    binding = digest(Label.BINDING, digest(Label.UNION, union), digest(Label.DENSE, dense))
    rows = {}
    for name, table in tables.items():
        up = table.above(floor)
        kept = ClaimedRows(table.indices[up], table.data[up], table.claimants[up])
        rows[name] = Rows(row_digests(session, name, kept), kept.claimants, live)
    return Opening(update, live, binding, rows)
