"""Two whole sessions with losses, frame by frame: plain sums with a server that may lie, and a submodel round."""

from __future__ import annotations

from functools import cache
from typing import Any

from reference import rounds
from reference.messages import Fields
from reference.union import UnionPlan
from runs import About, Host, Material, Node, Part, RoundHost, RoundNode, Step, fresh, losing, materials, play

from cases.frames import segment

CLIENTS = (1, 2, 3, 4)

PLAIN: Fields = {
    "clients": 4,
    "threshold": 2,
    "colluders": 0,
    "kem": "x25519",
    "sums": [
        {"name": "a", "segments": [segment("x", 20, 3), segment("y", 40, 2)]},
        {"name": "b", "segments": [segment("x", 64, 2)]},
    ],
    "degree": None,
    "plan": b"",
    "setting": "malicious",
    "min_survivors": None,
}
PLAIN_INPUTS = {
    "a": {u: [[[u, -u, 1000 * u]], [[2**39 - u, 7 * u]]] for u in CLIENTS},
    "b": {u: [[[2**63 + u, 2**64 - u]]] for u in CLIENTS},
}


PLAIN_LOST = {3: [("MaskedInput", "a")], 1: [("Unmasking", "b")]}
"""By client, what does not arrive."""


@cache
def plain_run() -> tuple[Host, dict[int, Material], list[Step]]:
    drawn = materials("plain session", PLAIN, len(CLIENTS))
    registry = {u: m.public for u, m in drawn.items()}
    nodes = {
        u: Node(m, registry.values(), {one: PLAIN_INPUTS[one][u] for one in PLAIN_INPUTS}) for u, m in drawn.items()
    }
    host = Host(fresh(32, "plain session"), PLAIN, registry)
    return host, drawn, play(host, nodes, "plain sums", losing(PLAIN_LOST))


ITEMS = 12
WIDTHS = {"items": 2, "categories": 1}
CATEGORY_OF = [0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 3, 3]
HELD = {1: [0, 4], 2: [4, 5, 11], 3: [0, 5, 9], 4: [4]}
CLAIMED = {1: [0, 4, 9], 2: [4, 5], 3: [0, 4, 5, 9], 4: [4, 5]}
"""Index 11, of client 2 alone, is in the union and claimed by nobody."""
UNION = UnionPlan("bitmap", ITEMS, expected_union=6, clients=16, cells=ITEMS, bits=8, hashes=1)
QUANTIZATION: Fields = {"bits": 8, "clip": 1.0, "weight_max": 10}
ROUND_PLAN: Fields = {
    "union": UNION.to_bytes(),
    "response": ["7/8", "1/8", "7/8", "1/8"],
    "tables": [
        {"name": "items", "rows": ITEMS, "width": 2, "map_hash": b""},
        {"name": "categories", "rows": 4, "width": 1, "map_hash": rounds.map_hash(CATEGORY_OF)},
    ],
    "dense": 3,
    "row_floor": 3,
    "ring_bits": 24,
    "row_quantization": QUANTIZATION,
    "dense_quantization": QUANTIZATION,
    "training": [["learning_rate", "0.1"]],
    "noise": None,
}
ROUND: Fields = {
    "clients": 4,
    "threshold": 2,
    "colluders": 1,
    "kem": "x25519",
    "sums": [
        {"name": "union", "segments": [segment("cells", 8, ITEMS)]},
        {
            "name": "update",
            "segments": [segment("dense", 24, 4), segment("items", 24, 3, True), segment("categories", 24, 2, True)],
        },
    ],
    "degree": None,
    "plan": rounds.plan_hash(ROUND_PLAN),
    "setting": "semi_honest",
    "min_survivors": None,
}


def half_floats(count: int, *name: object) -> bytes:
    """16-bit floats between 2^-15 and 2: their top two bits, of sign and exponent, are zero."""
    data = bytearray(fresh(2 * count, *name))
    for at in range(1, len(data), 2):
        data[at] = data[at] & 0x3F | 0x04
    return bytes(data)


def cells_of(u: int) -> list[int]:
    return UNION.encode(HELD[u], {i: 1 + fresh(1, "cell", u, i)[0] % 255 for i in range(ITEMS)})


def update_of(u: int, index: int, width: int) -> list[int]:
    """Some integers of either sign and a weight."""
    return [(-1) ** (u + i) * (100 * index + 10 * u + i) for i in range(width)] + [u]


def about() -> About:
    model = {"items": half_floats(2 * ITEMS, "items"), "categories": half_floats(4, "categories")}
    return About(ROUND_PLAN, {"categories": CATEGORY_OF}, half_floats(3, "dense"), model)


def part_of(u: int) -> Part:
    """Client u trains what it both holds and claims."""
    items = sorted(set(HELD[u]) & set(CLAIMED[u]))
    rows = {"items": items, "categories": sorted({CATEGORY_OF[j] for j in items})}
    updates = {table: {j: update_of(u, j, WIDTHS[table]) for j in rows[table]} for table in rows}
    return Part(cells_of(u), CLAIMED[u], update_of(u, 50, 3), updates)


ROUND_LOST = {1: [("MaskedInput", "union")], 2: [("MaskedInput", "update")]}
"""Client 1 is back for its claim."""


@cache
def round_run() -> tuple[Host, dict[int, Material], list[Step]]:
    drawn = materials("round", ROUND, len(CLIENTS))
    registry = {u: m.public for u, m in drawn.items()}
    nodes = {u: RoundNode(m, registry.values(), about(), part_of(u)) for u, m in drawn.items()}
    host = RoundHost(fresh(32, "round"), ROUND, registry, about())
    return host, drawn, play(host, nodes, "submodel round", losing(ROUND_LOST))


def plain_vectors() -> dict[str, Any]:
    return recorded(*plain_run()) | {"inputs": PLAIN_INPUTS}


def round_vectors() -> dict[str, Any]:
    parts = {u: vars(part_of(u)) for u in CLIENTS}
    return recorded(*round_run()) | vars(about()) | {"parts": parts}


def recorded(host: Host, drawn: dict[int, Material], steps: list[Step]) -> dict[str, Any]:
    return {
        "session": host.server.session,
        "params": host.server.params,
        "clients": {u: vars(m) for u, m in drawn.items()},
        "steps": [vars(step) for step in steps],
        "results": host.results,
    }
