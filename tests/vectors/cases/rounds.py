"""Index sets, claimants, and the hashes of a submodel round."""

from __future__ import annotations

from typing import Any

from reference import rounds
from reference.union import UnionPlan
from runs import fresh

from cases.frames import PLAN
from cases.plain import refusal

INDEX_SETS: list[tuple[int, list[int]]] = [
    (0, []),
    (1, []),
    (1, [0]),
    (8, [0, 7]),
    (9, [8]),
    (40, [3]),
    (40, [0, 1, 2, 3, 4]),
    (300, [0, 128, 257, 299]),
    (20000, [127, 128, 16512]),
]
UNIONS: list[tuple[UnionPlan, list[int]]] = [
    (UnionPlan("bitmap", 9, 3, 4, cells=9, bits=2, hashes=1), [0, 5, 8]),
    (UnionPlan("filter", 30, 3, 4, cells=21, bits=2, hashes=3), [0, 7, 29]),
    (UnionPlan("filter", 30, 30, 4, cells=8, bits=32, hashes=2), [1, 2]),
]
"""The last filter is so small that it decodes indices that nobody holds."""
REFUSED_INDEX_SETS: list[tuple[str, int, bytes]] = [
    ("nothing", 8, b""),
    ("an unknown kind", 8, b"\x02\x00"),
    ("a bitmap that is too long", 8, b"\x00\x01\x00"),
    ("a bitmap that is too short", 9, b"\x00\x01"),
    ("a bit beyond the universe", 9, b"\x00\x00\x02"),
    ("a bitmap where gaps are shorter", 40, b"\x00\x08\x00\x00\x00\x00"),
    ("gaps where a bitmap is as short", 8, b"\x01\x03"),
    ("an unfinished number", 40, b"\x01\x80"),
    ("a number with a zero on top", 40, b"\x01\x83\x00"),
    ("an index beyond the universe", 40, b"\x01\x28"),
    ("gaps that are too long", 16, b"\x01\x00\x00\x00"),
]


def vectors() -> dict[str, Any]:
    union, dense, session = b"\x00\x0f", fresh(6, "dense"), fresh(32, "session")
    return {
        "unions": [union_cells(*case) for case in UNIONS],
        "index_sets": [
            {"size": size, "indices": indices, "data": rounds.encode_index_set(indices, size)}
            for size, indices in INDEX_SETS
        ],
        "refused_index_sets": [
            {"why": why, "error": refused(size, data), "size": size, "data": data}
            for why, size, data in REFUSED_INDEX_SETS
        ],
        "claimants": [claimants([1, 2, 4], [{1, 4}, {2}, {1, 2, 4}]), claimants([7], []), claimants([2, 3], [{3}] * 9)],
        "rows": [row(session, table, index) for table, index in (("items", 0), ("items", 2**33), ("categories", 1))],
        "binding": {"union": union, "dense": dense, "binding": rounds.binding(union, dense)},
        "plan": {"plan": PLAN, "hash": rounds.plan_hash(PLAN)},
        "map": {"map": [0, 0, 2, 1], "hash": rounds.map_hash([0, 0, 2, 1])},
    }


def union_cells(plan: UnionPlan, indices: list[int]) -> dict[str, Any]:
    drawn = {cell: 1 + fresh(1, "cell", cell)[0] % 3 for cell in range(plan.cells)}
    cells = plan.encode(indices, drawn)
    return {
        "plan": vars(plan),
        "bytes": plan.to_bytes(),
        "indices": indices,
        "positions": {i: plan.cells_of(i) for i in indices},
        "cells": cells,
        "decoded": plan.decode(cells),
    }


def refused(size: int, data: bytes) -> str:
    return refusal(lambda: rounds.decode_index_set(data, size))


def claimants(live: list[int], rows: list[set[int]]) -> dict[str, Any]:
    return {"live": live, "rows": rows, "data": rounds.pack_claimants(rows, live)}


def row(session: bytes, table: str, index: int) -> dict[str, Any]:
    data = fresh(4, table, index)
    digest = rounds.row_digest(session, table, index, data)
    return {"session": session, "table": table, "index": index, "data": data, "digest": digest}
