"""Contexts, stream keys, dense and row streams at several widths, and packed residues."""

from __future__ import annotations

from functools import partial
from typing import Any

from reference import masks
from reference.setup import Opening, SetUp, mask_context
from runs import fresh

from cases.frames import LARGE_PARAMS, PARAMS, segment
from cases.plain import refusal

DENSE = [(2, 9), (20, 5), (32, 5), (33, 3), (64, 3)]
ROWS = [(2, 1), (24, 3), (32, 9), (40, 2), (64, 5)]
"""(bits, words)"""
LATE = 65535
"""The counter of a dense stream carries into the third byte after this block."""
PACKED: list[tuple[int, list[int]]] = [
    (1, [1, 0, 1, 1]),
    (2, [3, 0, 1, 2, -1]),
    (7, [127, 1, -64]),
    (8, [0, 255, -1]),
    (20, [1, -1, 0x12345]),
    (31, [2**31 - 1, 1]),
    (32, [2**32 - 1, 1, -(2**31)]),
    (33, [2**33 - 1, 1, 0]),
    (63, [1, 2**63 - 1]),
    (64, [1, 2**64 - 1, -(2**63)]),
    (20, []),
]


def vectors() -> dict[str, Any]:
    return {
        "contexts": [context(one, binding) for one in ("a", "update") for binding in (b"", fresh(32, "binding"))],
        "keys": [keys(i) for i in range(3)],
        "dense": [dense(bits, words, first) for bits, words in DENSE for first in (0, LATE)],
        "rows": [row(bits, words) for bits, words in ROWS],
        "packed": [{"bits": bits, "values": values, "data": masks.pack(values, bits)} for bits, values in PACKED],
        "refused": refused(),
    }


def context(one: str, binding: bytes) -> dict[str, Any]:
    params, session, root = PARAMS if one == "a" else LARGE_PARAMS, fresh(32, "session"), fresh(32, "root")
    made = mask_context(SetUp(session, params, root, 3), Opening(one, [], binding), segment("x", 2, 1))
    return {
        "session": session,
        "root": root,
        "params": params,
        "sum": one,
        "segment": "x",
        "binding": binding,
        "context": made,
    }


def keys(i: int) -> dict[str, Any]:
    seed, context = fresh(32, "seed", i), fresh(32, "context", i)
    k0, k1 = masks.stream_keys(seed, context)
    return {"seed": seed, "context": context, "k0": k0, "k1": k1}


def dense(bits: int, words: int, first: int) -> dict[str, Any]:
    k1 = fresh(32, "K1", bits)
    values = masks.dense_mask(k1, words, bits, first)
    return {"k1": k1, "bits": bits, "first_block": first, "words": values}


def row(bits: int, words: int) -> dict[str, Any]:
    k0, k1, digest = (fresh(32, name, bits) for name in ("K0", "K1", "row"))
    tag, values = masks.row_tag(k0, digest), masks.row_mask(k0, k1, digest, words, bits)
    return {"k0": k0, "k1": k1, "digest": digest, "tag": tag, "bits": bits, "words": values}


def refused() -> list[dict[str, Any]]:
    cases = [
        ("a byte too few", 20, 2, bytes(4)),
        ("a byte too many", 20, 2, bytes(6)),
        ("a bit beyond the last residue", 20, 1, b"\x00\x00\x10"),
        ("the top bit beyond the last residue", 33, 1, b"\x00\x00\x00\x00\x80"),
    ]
    return [
        {"why": why, "error": "FaultyClientError", "bits": bits, "count": count, "data": data}
        for why, bits, count, data in cases
        if refusal(partial(masks.unpack, data, bits, count)) == "ValueError"
    ]
