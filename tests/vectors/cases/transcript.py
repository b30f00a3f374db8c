"""encode, digest, transcript_hash and derive over parts of every type."""

from __future__ import annotations

from typing import Any

from reference import transcript

from cases.plain import plain

KEY = bytes(range(32))
LABELS = (
    *(
        "params",
        "commitment",
        "advert",
        "entry",
        "roster",
        "graph",
        "half",
        "share",
        "bundle",
        "node",
        "dealing",
        "box",
    ),
    *("pad", "mask", "stream", "row", "dense", "union", "binding", "consistency", "plan"),
    *("enrolment", "simulation", "checkpoint"),
)
CASES: list[tuple[str, list[bytes | str | int]]] = [
    ("params", []),
    ("half", [b""]),
    ("half", [b"", b""]),
    ("share", [b"ab", b"c"]),
    ("share", [b"a", b"bc"]),
    ("row", ["", 0, 1, 2**64 - 1]),
    ("roster", ["naïve", 7, b"\x00\xff"]),
    ("roster", ["7", b"7", 55]),
    ("simulation", [b"\xaa" * 300]),
]


def vectors() -> dict[str, Any]:
    return {"labels": {label.upper(): transcript.label_bytes(label) for label in LABELS}, "cases": cases()}


def cases() -> list[dict[str, Any]]:
    return [
        {
            "label": label,
            "parts": [{type(part).__name__: plain(part)} for part in parts],
            "encode": transcript.encode(label, *parts),
            "digest": transcript.digest(label, *parts),
            "transcript_hash": transcript.transcript_hash(label, *parts),
            "key": KEY,
            "derive": {str(size): transcript.derive(KEY, label, *parts, size=size) for size in (1, 32, 64)},
        }
        for label, parts in CASES
    ]
