"""Frames in the plain session that client 2, or the server from client 2, must refuse, each with its named error.

`asks` names the step by the server's message: a frame to the client comes in place of it, one to the server in place
of the answer to it. Everybody else has played as recorded. The frame is the recorded one with the bytes from `start` to
`end` (not included) replaced by `with`.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

from reference.boxes import public_key
from reference.messages import Fields, frame, parse
from reference.params import params_hash
from reference.server import Server
from reference.setup import Opening, public_identity, roster_root, sign
from runs import Material, Step, fresh

from cases.sessions import plain_run

Case = tuple[str, str, Fields]
"""Why, the error, and the fields that are changed."""
FAULTY_SERVER, FAULTY_CLIENT, TOO_FEW = "FaultyServerError", "FaultyClientError", "TooFewSurvivorsError"
UNEXPECTED, CRYPTO = "UnexpectedMessageError", "CryptoError"
STRANGER = 9
"""An id that the session does not have."""


def vectors() -> dict[str, Any]:
    host, drawn, steps = plain_run()
    server, by_name = host.server, {step.name: step for step in steps[:5]}
    told = {
        "Roster": rosters(server),
        "Delivery": deliveries(server, drawn, by_name["Delivery"]),
        "Survivors": survivors(),
        "Consistency": consistencies(server, drawn, by_name["Consistency"]),
    }
    answered = {
        "Invitation": adverts(server, drawn[2]),
        "Roster": bundles(by_name["Roster"]),
        "Delivery": inputs(by_name["Delivery"]),
        "Survivors": statements(by_name["Survivors"]),
        "Consistency": unmaskings(by_name["Consistency"]),
    }
    return {
        "to_client": [changed(name, by_name[name].down[2], CLIENT, case) for name in told for case in told[name]],
        "to_server": [changed(name, by_name[name].up[2], SERVER, case) for name in answered for case in answered[name]],
    }


CLIENT, SERVER = "plain sums, to the client", "plain sums, to the server"


def changed(asks: str, data: bytes, direction: str, case: Case) -> dict[str, Any]:
    why, error, fields = case
    name, original = parse(data, direction)
    return {"asks": asks, "why": why, "error": error} | difference(data, frame(name, original | fields))


def difference(old: bytes, new: bytes) -> dict[str, Any]:
    shorter = min(len(old), len(new))
    start = next(i for i in range(shorter + 1) if i == shorter or old[i] != new[i])
    same = next(i for i in range(shorter - start + 1) if i == shorter - start or old[-1 - i] != new[-1 - i])
    return {"start": start, "end": len(old) - same, "with": new[start : len(new) - same]}


def flipped(data: bytes) -> bytes:
    """Its last bit the other way round."""
    return data[:-1] + bytes((data[-1] ^ 1,))


def without(client: int, by_id: dict[int, Any]) -> dict[int, Any]:
    return {u: value for u, value in by_id.items() if u != client}


# ---- what a client refuses ----


def rosters(server: Server) -> list[Case]:
    adverts, root = server.adverts, server.setup.root

    def shown(by_id: dict[int, Fields], size: int = 4) -> Fields:
        return {"adverts": by_id, "size": size, "root": roster_root(server.session, server.params, by_id)}

    def bent(field: str) -> Fields:
        return shown(adverts | {3: adverts[3] | {field: flipped(adverts[3][field])}})

    return [
        ("its own advert is missing", FAULTY_SERVER, shown(without(2, adverts), 3)),
        ("its own advert stands under two ids", FAULTY_SERVER, shown(adverts | {3: adverts[2]})),
        ("two ids are swapped", FAULTY_SERVER, shown(adverts | {3: adverts[4], 4: adverts[3]})),
        ("one channel key under two ids", FAULTY_SERVER, shown(adverts | {4: adverts[4] | channel_of(adverts[3])})),
        ("another root", FAULTY_SERVER, {"root": flipped(root)}),
        ("a size below an id it shows", FAULTY_SERVER, {"size": 3}),
        ("a size above the parameters' clients", FAULTY_SERVER, {"size": 5}),
        ("an advert is missing", FAULTY_SERVER, shown(without(4, adverts))),
        ("an id beyond its size", FAULTY_SERVER, shown(without(4, adverts) | {5: adverts[4]})),
        ("a channel key that was not signed", FAULTY_SERVER, bent("channel")),
        ("a commitment that was not signed", FAULTY_SERVER, bent("commitments")),
        ("a signature that does not verify", FAULTY_SERVER, bent("signature")),
        ("an identity that is not registered", FAULTY_SERVER, shown(adverts | {4: stranger(server)})),
        ("one neighbour", TOO_FEW, shown({u: adverts[u] for u in (1, 2)}, 2)),
    ]


def channel_of(advert: Fields) -> Fields:
    return {"channel": advert["channel"]}


def stranger(server: Server) -> Fields:
    """A proper advert of somebody whose identity ranks behind client 3's."""
    names = (fresh(32, "stranger", i) for i in count())
    identity = next(name for name in names if public_identity(name) > server.adverts[3]["identity"])
    return advert(server, identity, public_key("x25519", fresh(32, "stranger's channel")), bytes(128))


def advert(server: Server, identity: bytes, channel: bytes, commitments: bytes) -> Fields:
    fields = {"identity": public_identity(identity), "channel": channel, "commitments": commitments}
    parts = [server.session, params_hash(server.params), *fields.values()]
    return fields | {"signature": sign(identity, "advert", *parts)}


def deliveries(server: Server, drawn: dict[int, Material], step: Step) -> list[Case]:
    _, told = parse(step.down[2], CLIENT)
    dealt, setup = told["bundles"], server.setup

    def show(dealer: int, bundle: Fields) -> Fields:
        return {"bundles": dealt | {dealer: bundle}}

    def signed(box: bytes, hashes: bytes) -> Fields:
        message = setup.sign_bundles(1, drawn[1].identity, server.bundles[1] | {2: {"box": box, "hashes": hashes}})
        return show(1, setup.shown(1, 2, message))

    first = dealt[1]
    paths = first["path"][:-32], first["path"] + bytes(32)
    return [
        ("a path too short", FAULTY_SERVER, show(1, first | {"path": paths[0]})),
        ("a path too long", FAULTY_SERVER, show(1, first | {"path": paths[1]})),
        ("a path of another leaf", FAULTY_SERVER, show(1, first | {"path": flipped(first["path"])})),
        ("a bundle of nobody", FAULTY_SERVER, show(STRANGER, first)),
        ("a bundle of its own", FAULTY_SERVER, show(2, first)),
        ("a box that was not signed", FAULTY_SERVER, show(1, first | {"box": flipped(first["box"])})),
        ("hashes that were not signed", FAULTY_SERVER, show(1, first | {"hashes": flipped(first["hashes"])})),
        ("a bundle for another holder", FAULTY_SERVER, show(1, first | server.bundles[1][3])),
        ("a bundle of another dealer", FAULTY_SERVER, show(1, dealt[3])),
        (
            "a signed box that does not open, and none may be corrupt",
            FAULTY_SERVER,
            signed(flipped(first["box"]), first["hashes"]),
        ),
        (
            "a signed hash that is missed, and none may be corrupt",
            FAULTY_SERVER,
            signed(first["box"], flipped(first["hashes"])),
        ),
        ("one bundle", TOO_FEW, {"bundles": {1: first}}),
    ]


def survivors() -> list[Case]:
    return [
        ("of another sum", UNEXPECTED, {"sum": "b"}),
        ("one survives twice", FAULTY_SERVER, {"survivors": [1, 2, 4, 4]}),
        ("one that is not live survives", FAULTY_SERVER, {"survivors": [1, 2, 4, STRANGER]}),
        ("the client itself is lost", FAULTY_SERVER, {"survivors": [1, 3, 4]}),
        ("one other survives", TOO_FEW, {"survivors": [1, 2]}),
        ("nobody survives", FAULTY_SERVER, {"survivors": []}),
    ]


def consistencies(server: Server, drawn: dict[int, Material], step: Step) -> list[Case]:
    _, told = parse(step.down[2], CLIENT)
    signatures, opening = told["signatures"], Opening("a", (1, 2, 3, 4))

    def view(u: int, survivors: set[int], of: Opening = opening) -> dict[int, bytes]:
        return {u: sign(drawn[u].identity, "consistency", *server.setup.view_parts(of, survivors))}

    def show(more: dict[int, bytes]) -> Fields:
        return {"signatures": signatures | more}

    return [
        ("of another sum", UNEXPECTED, {"sum": "b"}),
        ("signatures are swapped", FAULTY_SERVER, show({1: signatures[4], 4: signatures[1]})),
        ("client 4 was told other survivors", FAULTY_SERVER, show(view(4, {1, 2, 3, 4}))),
        ("client 4 was told other live clients", FAULTY_SERVER, show(view(4, {1, 2, 4}, Opening("a", (1, 2, 4))))),
        ("client 4 signed for another sum", FAULTY_SERVER, show(view(4, {1, 2, 4}, Opening("b", (1, 2, 3, 4))))),
        ("a lost client signed", FAULTY_SERVER, show(view(3, {1, 2, 4}))),
        ("its own signature", FAULTY_SERVER, show(view(2, {1, 2, 4}))),
        ("one other signed", FAULTY_SERVER, {"signatures": {1: signatures[1]}}),
    ]


# ---- what the server drops a client for ----


def adverts(server: Server, own: Material) -> list[Case]:
    honest, low = server.adverts[2], bytes(32)

    def chosen(channel: bytes = honest["channel"], commitments: bytes = honest["commitments"]) -> Fields:
        return advert(server, own.identity, channel, commitments)

    return [
        ("of another identity", UNEXPECTED, server.adverts[1]),
        ("a signature that does not verify", CRYPTO, {"signature": flipped(honest["signature"])}),
        ("a channel key that was not signed", CRYPTO, {"channel": flipped(honest["channel"])}),
        ("a channel key of 31 bytes", CRYPTO, chosen(channel=honest["channel"][1:])),
        ("commitments for one sum of two", CRYPTO, chosen(commitments=honest["commitments"][:64])),
        ("a channel key of low order", CRYPTO, chosen(channel=low)),
        ("client 1's channel key", UNEXPECTED, chosen(channel=server.adverts[1]["channel"])),
    ]


def bundles(step: Step) -> list[Case]:
    _, told = parse(step.up[2], SERVER)
    dealt = told["bundles"]

    def bent(field: str, change: Callable[[bytes], bytes] = flipped) -> Fields:
        return {"bundles": dealt | {3: dealt[3] | {field: change(dealt[3][field])}}}

    return [
        ("a neighbour is left out", FAULTY_CLIENT, {"bundles": without(4, dealt)}),
        ("a bundle for nobody", FAULTY_CLIENT, {"bundles": dealt | {STRANGER: dealt[1]}}),
        ("a bundle for itself", FAULTY_CLIENT, {"bundles": dealt | {2: dealt[1]}}),
        ("two bundles are swapped", CRYPTO, {"bundles": dealt | {1: dealt[3], 3: dealt[1]}}),
        ("a box that was not signed", CRYPTO, bent("box")),
        ("hashes that were not signed", CRYPTO, bent("hashes")),
        ("hashes for one sum of two", CRYPTO, bent("hashes", lambda data: data[:96])),
        ("a signature that does not verify", CRYPTO, {"signature": flipped(told["signature"])}),
    ]


def inputs(step: Step) -> list[Case]:
    _, told = parse(step.up[2], SERVER)
    x, y = told["segments"]
    pads = told["pads"]
    return [
        ("to another sum", UNEXPECTED, {"sum": "b"}),
        ("a segment too few", FAULTY_CLIENT, {"segments": [x]}),
        ("a segment too many", FAULTY_CLIENT, {"segments": [x, y, b""]}),
        ("a byte too few", FAULTY_CLIENT, {"segments": [x, y[:-1]]}),
        ("a byte too many", FAULTY_CLIENT, {"segments": [x, y + b"\x00"]}),
        ("a bit beyond the last residue", FAULTY_CLIENT, {"segments": [x[:-1] + bytes((x[-1] | 0x80,)), y]}),
        ("a pad is missing", FAULTY_CLIENT, {"pads": without(4, pads)}),
        ("a pad for a lower id", FAULTY_CLIENT, {"pads": pads | {1: pads[4]}}),
        ("it refuses client 1, and none may be corrupt", FAULTY_CLIENT, {"refused": [1]}),
        ("it refuses one bundle twice", FAULTY_CLIENT, {"refused": [1, 1]}),
        ("it refuses nobody's bundle", UNEXPECTED, {"refused": [STRANGER]}),
        ("it refuses its own bundle", UNEXPECTED, {"refused": [2]}),
    ]


def statements(step: Step) -> list[Case]:
    _, told = parse(step.up[2], SERVER)
    return [
        ("about another sum", UNEXPECTED, {"sum": "b"}),
        ("a signature that does not verify", CRYPTO, {"signature": flipped(told["signature"])}),
    ]


def unmaskings(step: Step) -> list[Case]:
    _, told = parse(step.up[2], SERVER)
    shares = told["shares"]
    return [
        ("of another sum", UNEXPECTED, {"sum": "b"}),
        ("a share of nobody's secret", UNEXPECTED, {"shares": shares | {STRANGER: shares[1]}}),
        ("a share of its own secret", UNEXPECTED, {"shares": shares | {2: shares[1]}}),
    ]
