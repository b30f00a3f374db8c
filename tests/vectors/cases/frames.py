"""One frame or more of each message, and frames that are none."""

from __future__ import annotations

from typing import Any

from reference.errors import MessageError
from reference.messages import DIRECTIONS, Fields, frame, parse
from reference.wire import pack

TO_CLIENT, TO_SERVER = "plain sums, to the client", "plain sums, to the server"
ROUND_TO_CLIENT, ROUND_TO_SERVER = "submodel round, to the client", "submodel round, to the server"


def filled(size: int, start: int = 0) -> bytes:
    return bytes((start + i) % 256 for i in range(size))


def segment(name: str, bits: int, words: int, by_rows: bool = False) -> Fields:
    return {"name": name, "bits": bits, "words": words, "by_rows": by_rows}


PARAMS: Fields = {
    "clients": 3,
    "threshold": 2,
    "colluders": 0,
    "kem": "x25519",
    "sums": [{"name": "a", "segments": [segment("x", 2, 1)]}],
    "degree": None,
    "plan": b"",
    "setting": "semi_honest",
    "min_survivors": None,
}
LARGE_PARAMS: Fields = {
    "clients": 2**20,
    "threshold": 128,
    "colluders": 255,
    "kem": "x25519-mlkem768",
    "sums": [{"name": "é" * 16, "segments": [segment("x", 64, 2**32), segment("y" * 32, 33, 65536, True)]}],
    "degree": 256,
    "plan": filled(32),
    "setting": "malicious",
    "min_survivors": 65536,
}
QUANTIZATION: Fields = {"bits": 8, "clip": 0.5, "weight_max": 10}
PLAN: Fields = {
    "union": filled(28),
    "response": ["7/8", "1/8", "1", "0"],
    "tables": [
        {"name": "items", "rows": 2**40, "width": 18, "map_hash": b""},
        {"name": "categories", "rows": 16, "width": 1, "map_hash": filled(32)},
    ],
    "dense": 64327,
    "row_floor": 5,
    "ring_bits": 32,
    "row_quantization": QUANTIZATION,
    "dense_quantization": {"bits": 16, "clip": 1e-3, "weight_max": 2**24},
    "training": [["batch", "32"], ["", ""]],
    "noise": {"radius": 2**24, "variance": 2**38},
}
ADVERT: Fields = {
    "identity": filled(32),
    "channel": filled(32, 32),
    "commitments": filled(64, 64),
    "signature": filled(64, 128),
}
BUNDLE: Fields = {"box": filled(160), "hashes": filled(96)}

ACCEPTED: list[tuple[str, str, Fields]] = [
    (TO_CLIENT, "Invitation", {"session": filled(32), "params": PARAMS}),
    (TO_CLIENT, "Invitation", {"session": filled(32), "params": LARGE_PARAMS}),
    (TO_SERVER, "AdvertiseKeys", ADVERT),
    (TO_CLIENT, "Roster", {"size": 4, "root": filled(32), "adverts": {1: ADVERT, 128: ADVERT}}),
    (TO_SERVER, "ShareKeys", {"bundles": {2: BUNDLE}, "signature": filled(64)}),
    (TO_SERVER, "ShareKeys", {"bundles": {}, "signature": filled(64)}),
    (TO_CLIENT, "Delivery", {"bundles": {256: BUNDLE | {"path": filled(32), "signature": filled(64)}}}),
    (TO_CLIENT, "OpenSum", {"sum": "b", "live": [1, 127, 128, 255, 256, 65535, 65536, 2**24]}),
    (
        TO_SERVER,
        "MaskedInput",
        {"sum": "a", "segments": [b"", filled(255), filled(256)], "pads": {3: filled(32)}, "refused": [2]},
    ),
    (TO_CLIENT, "Survivors", {"sum": "a" * 31, "survivors": list(range(1, 16))}),
    (TO_CLIENT, "Survivors", {"sum": "a" * 32, "survivors": list(range(1, 17))}),
    (TO_SERVER, "Unmasking", {"sum": "a", "shares": {2: filled(40)}}),
    (TO_SERVER, "Unmasking", {"sum": "a", "shares": {5: filled(40), 2: filled(40)}}),
    (TO_SERVER, "Unmasking", {"sum": "a", "shares": {u: filled(40) for u in range(1, 17)}}),
    (TO_CLIENT, "Abort", {"reason": ""}),
    (TO_CLIENT, "Abort", {"reason": "r" * 256}),
    (TO_SERVER, "ConsistencyCheck", {"sum": "a", "signature": filled(64)}),
    (TO_CLIENT, "Consistency", {"sum": "a", "signatures": {4: filled(64), 1: filled(64)}}),
    (ROUND_TO_CLIENT, "RoundInvitation", {"session": filled(32), "params": PARAMS, "plan": PLAN}),
    (ROUND_TO_CLIENT, "UnionAnnounced", {"union": b"\x00\x0f"}),
    (ROUND_TO_SERVER, "Claim", {"positions": b"\x01"}),
    (
        ROUND_TO_CLIENT,
        "Submodel",
        {"live": [1, 2, 4], "dense": filled(6), "tables": [{"rows": filled(4), "claimants": b"\x07"}]},
    ),
]

SHARE = b"\xc4\x28" + filled(40)
UNMASKING = b"\x93\x09\xa1a\x81\x02" + SHARE
"""The body of an Unmasking, tag 9, sum "a", with one share for client 2: most of the refused frames distort it."""
INVITATION = pack([1, filled(32), [3, 2, 0, "x25519", [["a", [["x", 2, 1, False]]]], None, b"", "semi_honest", None]])

REFUSED: list[tuple[str, str, str, bytes]] = [
    ("length", "an empty frame", TO_SERVER, b""),
    ("length", "a version and nothing else", TO_SERVER, b"\x01"),
    ("version", "version 0", TO_SERVER, b"\x00" + UNMASKING),
    ("version", "version 2", TO_SERVER, b"\x02" + UNMASKING),
    ("version", "no version", TO_SERVER, UNMASKING),
    *(
        ("malformed", why, TO_SERVER, b"\x01" + body)
        for why, body in {
            "a byte behind it": UNMASKING + b"\xc0",
            "two bodies": UNMASKING + UNMASKING,
            "a field too many": b"\x94" + UNMASKING[1:] + b"\xc0",
            "a field too few": b"\x92\x09\xa1a",
            "cut off": UNMASKING[:-1],
            "an unknown tag": b"\x93\x63" + UNMASKING[2:],
            "a negative tag": b"\x93\xff" + UNMASKING[2:],
            "a tag of the other direction": b"\x93\x08" + UNMASKING[2:],
            "a map in place of an array": b"\x81\x09\xa1a",
            "client 0": UNMASKING.replace(b"\x81\x02", b"\x81\x00"),
            "client 2^24 + 1": UNMASKING.replace(b"\x81\x02", b"\x81\xce\x01\x00\x00\x01"),
            "a text key": UNMASKING.replace(b"\x81\x02", b"\x81\xa12"),
            "a share of 39 bytes": b"\x93\x09\xa1a\x81\x02\xc4\x27" + filled(39),
            "a share of 41 bytes": b"\x93\x09\xa1a\x81\x02\xc4\x29" + filled(41),
            "text for bytes": b"\x93\x09\xa1a\x81\x02\xd9\x28" + b"a" * 40,
            "bytes for text": b"\x93\x09\xc4\x01a\x81\x02" + SHARE,
            "an empty name": b"\x93\x09\xa0\x81\x02" + SHARE,
            "a name of 33": b"\x93\x09\xd9\x21" + b"a" * 33 + b"\x81\x02" + SHARE,
            "text that is no UTF-8": b"\x93\x09\xa1\xff\x81\x02" + SHARE,
            "a surrogate": b"\x93\x09\xa3\xed\xa0\x80\x81\x02" + SHARE,
            "an extension": b"\x93\x09\xa1a\xd4\x01\x00",
            "an array longer than the frame": b"\xdd\xff\xff\xff\xff" + UNMASKING,
        }.items()
    ),
    *(
        ("malformed", why, TO_CLIENT, b"\x01" + INVITATION.replace(old, new))
        for why, old, new in [
            ("two clients", b"\x99\x03\x02", b"\x99\x02\x02"),
            ("a threshold of 1", b"\x99\x03\x02", b"\x99\x03\x01"),
            ("no sums", b"\x91\x92\xa1a\x91\x94\xa1x\x02\x01\xc2", b"\x90"),
            ("no segments", b"\x91\x94\xa1x\x02\x01\xc2", b"\x90"),
            ("a segment of 1 bit", b"\xa1x\x02\x01", b"\xa1x\x01\x01"),
            ("a segment of 65 bits", b"\xa1x\x02\x01", b"\xa1x\x41\x01"),
            ("a segment of no words", b"\xa1x\x02\x01", b"\xa1x\x02\x00"),
            ("a number for a boolean", b"\xa1x\x02\x01\xc2", b"\xa1x\x02\x01\x00"),
            ("an unknown setting", b"\xabsemi_honest", b"\xabhalf_honest"),
            ("a degree of false", b"\xc0\xc4\x00", b"\xc2\xc4\x00"),
        ]
    ),
    *(
        ("not canonical", why, TO_SERVER, b"\x01" + body)
        for why, body in {
            "a key twice": b"\x93\x09\xa1a\x82" + 2 * (b"\x02" + SHARE),
            "a key in two bytes": b"\x93\x09\xa1a\x81\xcc\x02" + SHARE,
            "a tag in two bytes": b"\x93\xcc\x09\xa1a\x81\x02" + SHARE,
            "a tag in nine bytes": b"\x93\xcf" + bytes(7) + b"\x09\xa1a\x81\x02" + SHARE,
            "a short text with a long head": b"\x93\x09\xd9\x01a\x81\x02" + SHARE,
            "short bytes with a long head": b"\x93\x09\xa1a\x81\x02\xc5\x00\x28" + filled(40),
            "a short map with a long head": b"\x93\x09\xa1a\xde\x00\x01\x02" + SHARE,
            "a short array with a long head": b"\xdc\x00\x03" + UNMASKING[1:],
        }.items()
    ),
]


def vectors() -> dict[str, Any]:
    return {
        "directions": {name: sorted(DIRECTIONS[name]) for name in DIRECTIONS},
        "accepted": [
            {"direction": direction, "message": name, "fields": fields, "frame": frame(name, fields)}
            for direction, name, fields in ACCEPTED
        ],
        "refused": [
            {"error": "MessageError", "reason": reason(data, direction, expected), "why": why}
            | {"direction": direction, "frame": data}
            for expected, why, direction, data in REFUSED
        ],
    }


def reason(data: bytes, direction: str, expected: str) -> str:
    try:
        parse(data, direction)
    except MessageError as error:
        if error.reason == expected:
            return expected
        raise RuntimeError(f"the reference calls this {error.reason}, not {expected}: {data.hex()}") from None
    raise RuntimeError(f"the reference accepts {data.hex()}")
