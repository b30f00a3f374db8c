"""Every message, field by field, and the frames that carry them. docs/spec/wire.md, sections 3 to 6.

A message is a name and a dict of its fields. On the wire a struct is the array of its fields in order; a message has
its tag in front.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from reference.errors import MessageError
from reference.wire import MAX_BYTES, VERSION, pack, unpack

Fields = dict[str, Any]


class Kind(Protocol):
    def read(self, raw: Any) -> Any:
        """The value that unpacked MessagePack stands for; MessageError if it is not of this kind."""

    def write(self, value: Any) -> Any:
        """The other way round."""


def require(condition: bool) -> None:
    if not condition:
        raise MessageError("malformed")


class Leaf:
    def write(self, value: Any) -> Any:
        return value


@dataclass(frozen=True)
class Number(Leaf):
    low: int
    high: int

    def read(self, raw: Any) -> int:
        require(type(raw) is int and self.low <= raw <= self.high)
        return raw


@dataclass(frozen=True)
class Real(Leaf):
    above: float

    def read(self, raw: Any) -> float:
        require(type(raw) is float and raw > self.above)
        return raw


class Flag(Leaf):
    def read(self, raw: Any) -> bool:
        require(type(raw) is bool)
        return raw


@dataclass(frozen=True)
class Bytes(Leaf):
    low: int = 0
    high: int = MAX_BYTES

    def read(self, raw: Any) -> bytes:
        require(type(raw) is bytes and self.low <= len(raw) <= self.high)
        return raw


@dataclass(frozen=True)
class Text(Leaf):
    low: int = 0
    high: int = MAX_BYTES
    pattern: str = r"(?s:.*)"

    def read(self, raw: Any) -> str:
        require(type(raw) is str and self.low <= len(raw) <= self.high and re.fullmatch(self.pattern, raw) is not None)
        return raw


@dataclass(frozen=True)
class Choice(Leaf):
    values: tuple[str, ...]

    def read(self, raw: Any) -> str:
        require(type(raw) is str and raw in self.values)
        return raw


@dataclass(frozen=True)
class Optional:
    kind: Kind

    def read(self, raw: Any) -> Any:
        return None if raw is None else self.kind.read(raw)

    def write(self, value: Any) -> Any:
        return None if value is None else self.kind.write(value)


@dataclass(frozen=True)
class List:
    item: Kind
    low: int = 0
    high: int = MAX_BYTES

    def read(self, raw: Any) -> list[Any]:
        require(type(raw) is list and self.low <= len(raw) <= self.high)
        return [self.item.read(item) for item in raw]

    def write(self, value: Any) -> list[Any]:
        return [self.item.write(item) for item in value]


@dataclass(frozen=True)
class ById:
    """A map from client ids. Keys come in any order, each once."""

    value: Kind

    def read(self, raw: Any) -> dict[int, Any]:
        require(type(raw) is dict)
        return {ID.read(key): self.value.read(item) for key, item in raw.items()}

    def write(self, value: Any) -> dict[int, Any]:
        return {key: self.value.write(item) for key, item in value.items()}


@dataclass(frozen=True)
class Struct:
    fields: Mapping[str, Kind]
    tag: int | None = None

    @property
    def head(self) -> list[int]:
        return [] if self.tag is None else [self.tag]

    def read(self, raw: Any) -> Fields:
        require(type(raw) is list and len(raw) == len(self.head) + len(self.fields))
        require(raw[: len(self.head)] == self.head)
        values = raw[len(self.head) :]
        return {name: kind.read(v) for (name, kind), v in zip(self.fields.items(), values, strict=True)}

    def write(self, value: Fields) -> list[Any]:
        if value.keys() != self.fields.keys():
            raise TypeError(f"these are not the fields {', '.join(self.fields)}")
        return [*self.head, *(kind.write(value[name]) for name, kind in self.fields.items())]


ID = Number(1, 2**24)
IDS = List(ID)
NAME = Text(1, 32)
PROBABILITY = Text(0, 40, r"[0-9]{1,18}(/[0-9]{1,18})?")

SEGMENT = Struct({"name": NAME, "bits": Number(2, 64), "words": Number(1, 2**32), "by_rows": Flag()})
SUM = Struct({"name": NAME, "segments": List(SEGMENT, 1, 16)})
PARAMS = Struct(
    {
        "clients": Number(3, 2**20),
        "threshold": Number(2, 2**20),
        "colluders": Number(0, 2**20),
        "kem": NAME,
        "sums": List(SUM, 1, 8),
        "degree": Optional(Number(2, 2**20)),
        "plan": Bytes(0, 32),
        "setting": Choice(("semi_honest", "malicious")),
        "min_survivors": Optional(Number(1, 2**20)),
    }
)
QUANTIZATION = Struct({"bits": Number(2, 32), "clip": Real(0), "weight_max": Number(1, 2**24)})
TABLE = Struct({"name": NAME, "rows": Number(1, 2**40), "width": Number(1, 2**16), "map_hash": Bytes(0, 32)})
PLAN = Struct(
    {
        "union": Bytes(0, 256),
        "response": List(PROBABILITY, 4, 4),
        "tables": List(TABLE, 1, 14),
        "dense": Number(1, 2**32),
        "row_floor": Number(1, 2**20),
        "ring_bits": Number(2, 64),
        "row_quantization": QUANTIZATION,
        "dense_quantization": QUANTIZATION,
        "training": List(List(Text(0, 256), 2, 2), 0, 64),
        "noise": Optional(Struct({"radius": Number(1, 2**24), "variance": Number(1, 2**38)})),
    }
)
BUNDLE = Struct({"box": Bytes(0, 4096), "hashes": Bytes(0, 4096)})
SIGNED_BUNDLE = Struct(
    {"box": Bytes(0, 4096), "hashes": Bytes(0, 4096), "path": Bytes(0, 4096), "signature": Bytes(64, 64)}
)
SLICE = Struct({"rows": Bytes(), "claimants": Bytes()})
ADVERT = Struct(
    {
        "identity": Bytes(32, 32),
        "channel": Bytes(0, 4096),
        "commitments": Bytes(0, 4096),
        "signature": Bytes(64, 64),
    },
    tag=2,
)

MESSAGES = {
    "Invitation": Struct({"session": Bytes(32, 32), "params": PARAMS}, tag=1),
    "AdvertiseKeys": ADVERT,
    "Roster": Struct({"size": Number(1, 2**24), "root": Bytes(32, 32), "adverts": ById(ADVERT)}, tag=3),
    "ShareKeys": Struct({"bundles": ById(BUNDLE), "signature": Bytes(64, 64)}, tag=4),
    "Delivery": Struct({"bundles": ById(SIGNED_BUNDLE)}, tag=5),
    "OpenSum": Struct({"sum": NAME, "live": IDS}, tag=6),
    "MaskedInput": Struct({"sum": NAME, "segments": List(Bytes()), "pads": ById(Bytes(32, 32)), "refused": IDS}, tag=7),
    "Survivors": Struct({"sum": NAME, "survivors": IDS}, tag=8),
    "Unmasking": Struct({"sum": NAME, "shares": ById(Bytes(40, 40))}, tag=9),
    "Abort": Struct({"reason": Text(0, 256)}, tag=10),
    "ConsistencyCheck": Struct({"sum": NAME, "signature": Bytes(64, 64)}, tag=11),
    "Consistency": Struct({"sum": NAME, "signatures": ById(Bytes(64, 64))}, tag=12),
    "RoundInvitation": Struct({"session": Bytes(32, 32), "params": PARAMS, "plan": PLAN}, tag=20),
    "UnionAnnounced": Struct({"union": Bytes()}, tag=21),
    "Claim": Struct({"positions": Bytes()}, tag=22),
    "Submodel": Struct({"live": IDS, "dense": Bytes(), "tables": List(SLICE)}, tag=23),
}

SET_UP_DOWN = {"Roster", "Delivery", "Survivors", "Consistency", "Abort"}
SET_UP_UP = {"AdvertiseKeys", "ShareKeys", "MaskedInput", "ConsistencyCheck", "Unmasking"}
DIRECTIONS = {
    "plain sums, to the client": SET_UP_DOWN | {"Invitation", "OpenSum"},
    "plain sums, to the server": SET_UP_UP,
    "submodel round, to the client": SET_UP_DOWN | {"RoundInvitation", "UnionAnnounced", "Submodel"},
    "submodel round, to the server": SET_UP_UP | {"Claim"},
}
"""What a receiver takes: a message of another direction is malformed."""


def frame(name: str, fields: Fields) -> bytes:
    return bytes((VERSION,)) + pack(MESSAGES[name].write(fields))


def parse(data: bytes, direction: str) -> tuple[str, Fields]:
    """The message in a frame; MessageError with its reason for anything else."""
    if not 2 <= len(data) <= MAX_BYTES:
        raise MessageError("length")
    if data[0] != VERSION:
        raise MessageError("version")
    raw = unpack(data[1:])
    require(type(raw) is list and len(raw) > 0 and type(raw[0]) is int)
    by_tag = {MESSAGES[name].tag: name for name in DIRECTIONS[direction]}
    require(raw[0] in by_tag)
    name = by_tag[raw[0]]
    fields = MESSAGES[name].read(raw)
    if pack(raw) != data[1:]:
        raise MessageError("not canonical")
    return name, fields
