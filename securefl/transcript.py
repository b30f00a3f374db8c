"""Labels and the three labelled primitives: every hash, signature and derived key of the protocol goes through here.

A label says what a value is for, so that no output for one purpose can be replayed as another. Parts are encoded
with their lengths, so that no two lists of parts give the same bytes.
"""

from __future__ import annotations

import enum
import hashlib
import struct
from typing import Any

from Crypto.Hash import TupleHash256
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

Part = bytes | str | int

_length = struct.Struct(">I").pack


class Label(enum.Enum):
    """Everything that is hashed, signed or derived, in one table."""

    PARAMS = b"securefl/v1/params"  # hash of the public parameters
    COMMITMENT = b"securefl/v1/commitment"  # hash of a secret that will be shared
    ADVERT = b"securefl/v1/advert"  # signed: a client's keys for a session
    ENTRY = b"securefl/v1/entry"  # hash of one signed advert
    ROSTER = b"securefl/v1/roster"  # hash of all entries
    GRAPH = b"securefl/v1/graph"  # hash that orders the roster on the ring of a sparse graph
    HALF = b"securefl/v1/half"  # key: one end's half of a pair
    SHARE = b"securefl/v1/share"  # hash of a dealt share or half
    BUNDLE = b"securefl/v1/bundle"  # hash of what one client deals to another
    NODE = b"securefl/v1/node"  # hash of two hashes in a tree of bundles
    DEALING = b"securefl/v1/dealing"  # signed: the tree of all bundles of one client
    BOX = b"securefl/v1/box"  # HPKE info: which session, dealer and holder a box belongs to
    PAD = b"securefl/v1/pad"  # key: pad that hides a pair seed under the other half
    MASK = b"securefl/v1/mask"  # hash: context of a mask stream
    STREAM = b"securefl/v1/stream"  # keys: tag key and stream key of a mask
    ROW = b"securefl/v1/row"  # hash of a row's index and bytes as received
    DENSE = b"securefl/v1/dense"  # hash of the dense bytes received
    UNION = b"securefl/v1/union"  # hash of the announced union
    BINDING = b"securefl/v1/binding"  # hash: what an update's masks are bound to
    CONSISTENCY = b"securefl/v1/consistency"  # signed: what a survivor was told of a sum
    PLAN = b"securefl/v1/plan"  # hash of a submodel plan
    ENROLMENT = b"securefl/v1/enrolment"  # signed: an identity answers at this node of an engine
    SIMULATION = b"securefl/v1/simulation"  # key: labelled random streams of a seeded simulation

    CHECKPOINT = b"securefl/v1/checkpoint"  # hash of what a kept run was made from, and of its model's file

    prefix: bytes
    """What every encoding under this label begins with."""

    def __init__(self, name: bytes) -> None:
        self.prefix = _length(len(name)) + name


def encode(label: Label, *parts: Part) -> bytes:
    """Injective encoding: the label and each part behind its 4-byte length; integers as 8 bytes, big-endian."""
    out = [label.prefix]
    for part in parts:
        data = part if isinstance(part, bytes) else _to_bytes(part)
        out += (_length(len(data)), data)
    return b"".join(out)


def digest(label: Label, *parts: Part) -> bytes:
    """32-byte SHA-256 of `encode`: for the many short values dealt to each neighbour."""
    return hashlib.sha256(encode(label, *parts)).digest()


def transcript_hash(label: Label, *parts: Part) -> bytes:
    """32-byte TupleHash256 (NIST SP 800-185) customised by the label: for the few hashes that name a whole view."""
    options: dict[str, Any] = {"digest_bytes": 32, "custom": label.value}  # older stubs say `custom: int`
    state = TupleHash256.new(**options)
    for part in parts:
        state.update(_to_bytes(part))
    return state.digest()


def derive(key: bytes, label: Label, *parts: Part, size: int = 32) -> bytes:
    """`size` bytes of HKDF-Expand (RFC 5869, SHA-256) under a uniform 32-byte key."""
    return HKDFExpand(hashes.SHA256(), size, encode(label, *parts)).derive(key)


def _to_bytes(part: Part) -> bytes:
    if isinstance(part, int):
        return part.to_bytes(8, "big")
    return part.encode() if isinstance(part, str) else bytes(part)


def length_prefixed(data: bytes) -> bytes:
    """`data` behind its length in 4 bytes, big-endian."""
    return _length(len(data)) + data
