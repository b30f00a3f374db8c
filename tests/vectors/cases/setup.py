"""Parameters and their hash, and what the first two steps derive: adverts, the graph, dealt values, boxes, pads."""

from __future__ import annotations

from functools import partial
from typing import Any

from reference import boxes, setup, tree
from reference.errors import ConfigurationError
from reference.messages import PARAMS as SCHEMA
from reference.messages import Fields
from reference.params import check_params, names, params_hash
from reference.setup import Opening, SetUp
from reference.wire import pack
from runs import fresh, identities

from cases import signatures
from cases.frames import LARGE_PARAMS, PARAMS, segment
from cases.plain import refusal
from cases.sessions import PLAIN, ROUND

SPARSE: Fields = PARAMS | {"clients": 20, "degree": 4, "threshold": 3, "colluders": 1}
BY_ROWS = {"sums": [{"name": "a", "segments": [segment("x", 20, 3, True)]}]}
LONG_ROWS = {"sums": [{"name": "a", "segments": [segment("x", 33, 131073, True)]}]}
TWICE = {"sums": [{"name": "a", "segments": [segment("x", 20, 3), segment("x", 8, 1)]}]}
LYING: Fields = PLAIN | {"clients": 10, "colluders": 2, "threshold": 6}
CROWD: Fields = PARAMS | {"clients": 200, "degree": 50, "threshold": 32, "colluders": 20}
KEPT = (PARAMS, PLAIN, ROUND, SPARSE, LYING, CROWD)

NOT_KEPT: list[tuple[str, str, Fields]] = [
    ("an unknown suite", "kem", PARAMS | {"kem": "x448"}),
    ("more shares than neighbours", "threshold", PARAMS | {"threshold": 3}),
    ("as many shares as colluders", "threshold", PLAIN | {"setting": "semi_honest", "colluders": 2}),
    ("one honest client", "colluders", PARAMS | {"colluders": 2, "degree": 2}),
    ("more colluders than clients", "colluders", SPARSE | {"colluders": 21}),
    ("as many shares as colluders, degree n - 1", "threshold", PARAMS | {"clients": 5, "degree": 4, "colluders": 2}),
    ("an odd degree", "degree", SPARSE | {"degree": 5}),
    ("a degree of all clients", "degree", SPARSE | {"degree": 20}),
    ("more shares than the degree", "threshold", SPARSE | {"threshold": 5}),
    ("a sparse graph against a server that may lie", "degree", SPARSE | {"setting": "malicious", "threshold": 4}),
    ("a server that may lie opens both secrets", "threshold", LYING | {"threshold": 5}),
    ("corrupt neighbours that hold t shares", "degree", CROWD | {"threshold": 12}),
    ("corrupt clients that cut the graph", "degree", CROWD | {"degree": 14, "threshold": 14}),
    ("more survivors than clients", "min_survivors", PARAMS | {"min_survivors": 4}),
    ("two sums of one name", "sums", PARAMS | {"sums": PARAMS["sums"] * 2}),
    ("two segments of one name", "sums", PARAMS | TWICE),
    ("rows of more than 2^16 blocks", "words", PARAMS | LONG_ROWS),
    ("rows on a sparse graph", "degree", SPARSE | BY_ROWS),
]

SESSION, ROOT = fresh(32, "set-up"), fresh(32, "root")
DEALER, HOLDER = identities(2)
CHANNEL = {"x25519": fresh(32, "channel"), "x25519-mlkem768": fresh(96, "channel")}


def vectors(recorded: Fields | None) -> dict[str, Any]:
    """`recorded`: the file as it stands. Its hybrid box is kept while it opens, for the library makes no second one."""
    return {
        "params": [hashed(params) for params in (PARAMS, LARGE_PARAMS, PLAIN, ROUND, SPARSE, LYING)],
        "kept": [kept(params) for params in KEPT],
        "not_kept": [
            {"why": why, "error": not_kept(setting, params), "setting": setting, "params": params}
            for why, setting, params in NOT_KEPT
        ],
        "signatures": signatures.vectors(),
        "advert": advert(),
        "graph": [graph(size, degree) for size, degree in ((5, None), (5, 4), (9, 4), (20, 6))],
        "trees": [tree_of(leaves) for leaves in (1, 2, 3, 6, 8, 11)],
        "dealt": dealt(),
        "boxes": [x25519_box(), hybrid_box(recorded)],
        "refused_boxes": refused_boxes(),
        "pads": [pad(i) for i in range(2)],
        "view": view(),
    }


def hashed(params: Fields) -> dict[str, Any]:
    return {"params": params, "packed": pack(SCHEMA.write(params)), "hash": params_hash(params)}


def kept(params: Fields) -> Fields:
    check_params(params)
    return params


def not_kept(setting: str, params: Fields) -> str:
    try:
        check_params(params)
    except ConfigurationError as error:
        if error.setting == setting:
            return type(error).__name__
    raise RuntimeError(f"the reference does not refuse {setting}")


def advert() -> dict[str, Any]:
    """Of two sums: four secrets."""
    secrets = {name: fresh(32, "secret", name) for name in names(PLAIN, "m", "b")}
    public, channel = setup.public_identity(DEALER), boxes.public_key("x25519", CHANNEL["x25519"])
    commitments = {name: setup.commitment(SESSION, public, name, secret) for name, secret in secrets.items()}
    parts = setup.advert_parts(SESSION, PLAIN, public, channel, b"".join(commitments.values()))
    return {
        "session": SESSION,
        "params": PLAIN,
        "identity": DEALER,
        "channel": CHANNEL["x25519"],
        "secrets": secrets,
        "public_identity": public,
        "public_channel": channel,
        "commitments": commitments,
        "signature": setup.sign(DEALER, "advert", *parts),
    }


def graph(size: int, degree: int | None) -> dict[str, Any]:
    made = SetUp(SESSION, SPARSE | {"degree": degree}, ROOT, size)
    neighbours = {u: made.neighbours(u) for u in range(1, size + 1)}
    return {"size": size, "degree": degree, "root": ROOT, "neighbours": neighbours}


def tree_of(count: int) -> dict[str, Any]:
    leaves = [fresh(32, "leaf", at) for at in range(count)]
    paths = [b"".join(tree.path(at, leaves)) for at in range(count)]
    return {"leaves": leaves, "root": tree.root(leaves), "paths": paths}


def dealt() -> dict[str, Any]:
    """What client 3 deals, but for the boxes: in full to client 1, arbitrary to 2 and 4."""
    made, m = SetUp(SESSION, ROUND, ROOT, 4), fresh(32, "m")
    values = {
        name: setup.half(m, ROOT, name[0], 1) if name[1] == "half" else fresh(40, "share", name)
        for name in names(ROUND, "m", "b", "half")
    }
    hashes = {name: made.value_hash(3, 1, name, value) for name, value in values.items()}
    box = fresh(48 + sum(map(len, values.values())), "no real box")
    others = {v: {"box": fresh(len(box), "box", v), "hashes": fresh(32 * len(hashes), "hashes", v)} for v in (2, 4)}
    bundles = {1: {"box": box, "hashes": b"".join(hashes.values())}} | others
    message = made.sign_bundles(3, DEALER, bundles)
    return {
        "session": SESSION,
        "params": ROUND,
        "root": ROOT,
        "dealer": 3,
        "holder": 1,
        "identity": DEALER,
        "m": m,
        "values": values,
        "hashes": hashes,
        "info": made.box_info(3, 1),
        "box": box,
        "others": others,
        "leaves": made.leaves(3, bundles),
        "tree_root": tree.root(made.leaves(3, bundles)),
        "paths": {v: made.shown(3, v, message)["path"] for v in bundles},
        "signature": message["signature"],
    }


INFO, PLAINTEXT = fresh(40, "info"), fresh(112, "plaintext")


def x25519_box() -> dict[str, Any]:
    kem, ephemeral = "x25519", fresh(32, "ephemeral")
    public = boxes.public_key(kem, CHANNEL[kem])
    return box_vector(kem, boxes.seal(kem, public, INFO, PLAINTEXT, ephemeral)) | {"ephemeral": ephemeral}


def hybrid_box(recorded: Fields | None) -> dict[str, Any]:
    kem = "x25519-mlkem768"
    if recorded:
        vector = next(v for v in recorded["boxes"] if v["kem"] == kem)
        if boxes.open_box(kem, CHANNEL[kem], INFO, bytes.fromhex(vector["box"])) == PLAINTEXT:
            return box_vector(kem, bytes.fromhex(vector["box"]))
    public = boxes.public_key(kem, CHANNEL[kem])
    return box_vector(kem, boxes.seal(kem, public, INFO, PLAINTEXT, fresh(32, "ephemeral")))


def box_vector(kem: str, box: bytes) -> dict[str, Any]:
    private = CHANNEL[kem]
    return {
        "kem": kem,
        "private": private,
        "public": boxes.public_key(kem, private),
        "info": INFO,
        "plaintext": PLAINTEXT,
        "box": box,
    }


def refused_boxes() -> list[dict[str, Any]]:
    """To the x25519 key above."""
    good = x25519_box()["box"]
    cases = {
        "another info": (INFO + b"\x00", good),
        "a changed tag": (INFO, good[:-1] + bytes((good[-1] ^ 1,))),
        "a changed encapsulation": (INFO, bytes((good[0] ^ 1,)) + good[1:]),
        "an encapsulation of low order": (INFO, bytes(32) + good[32:]),
        "a cut box": (INFO, good[:-1]),
        "no room for a tag": (INFO, good[:40]),
        "nothing": (INFO, b""),
    }
    return [
        {"why": why, "error": refusal(partial(boxes.open_box, "x25519", CHANNEL["x25519"], *case))}
        | dict(zip(("info", "box"), case, strict=True))
        for why, case in cases.items()
    ]


def pad(i: int) -> dict[str, Any]:
    seed, half_of_higher = fresh(32, "pair seed", i), fresh(32, "half of the higher id", i)
    return {"pair_seed": seed, "half_of_higher": half_of_higher, "pad": setup.pad(seed, half_of_higher)}


def view() -> dict[str, Any]:
    made, opening = SetUp(SESSION, PLAIN, ROOT, 300), Opening("a", [1, 2, 3, 300], fresh(32, "binding"))
    parts = made.view_parts(opening, {300, 1, 3})
    return {
        "session": SESSION,
        "params": PLAIN,
        "root": ROOT,
        "sum": opening.sum,
        "binding": opening.binding,
        "live": opening.live,
        "survivors": [1, 3, 300],
        "parts": parts,
        "identity": HOLDER,
        "signature": setup.sign(HOLDER, "consistency", *parts),
    }
