"""The library behind the calls of the reference's nodes and hosts: frames in, frames out. Also reads the vectors."""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct
from msgspec.structs import asdict
from reference import rounds
from reference.messages import Fields
from reference.params import names
from runs import Inputs, Material, Part, Results

import dp
import psu
from securefl import secagg, submodel
from securefl.crypto import Identity, suite
from securefl.secagg import Client, Segment, Server, Sum, cut
from securefl.submodel import Downloaded, QuantizedUpdate, SubmodelClient
from securefl.wire import Codec

HERE = Path(__file__).parent

DIRECTIONS: dict[str, tuple[Codec[Any], Any]] = {
    "plain sums, to the client": (secagg.to_client, secagg.messages.ToClient),
    "plain sums, to the server": (secagg.to_server, secagg.messages.ToServer),
    "submodel round, to the client": (submodel.to_client, submodel.messages.ToClient),
    "submodel round, to the server": (submodel.to_server, submodel.messages.ToServer),
}
"""By the reference's names: the codec, and the union of what it carries."""


def load(name: str) -> Any:
    """A file of vectors."""
    return json.loads((HERE / name).read_text())


def params_of(fields: Fields) -> secagg.Params:
    """Parameters from their fields, with bytes or with hex."""
    plan = fields["plan"] if isinstance(fields["plan"], bytes) else bytes.fromhex(fields["plan"])
    sums = tuple(Sum(s["name"], tuple(Segment(**g) for g in s["segments"])) for s in fields["sums"])
    return secagg.Params(**fields | {"plan": plan, "sums": sums})


def fields_of(value: Any) -> Any:
    """A message as the vectors write its fields."""
    match value:
        case Struct():
            return {name: fields_of(v) for name, v in asdict(value).items()}
        case dict():
            return {str(key): fields_of(v) for key, v in value.items()}
        case list() | tuple():
            return [fields_of(v) for v in value]
        case bytes():
            return value.hex()
    return value


def identity_of(drawn: Material) -> Identity:
    return Identity(Ed25519PrivateKey.from_private_bytes(drawn.identity))


def rng_of(drawn: Material, params: Fields) -> io.BytesIO:
    """What the library draws, in its order: the secrets, then the coefficients [secret][power - 1][limb]."""
    order = names(params, "m", "b")
    numbers = [number for name in order for row in drawn.coefficients[name] for number in row]
    secrets = b"".join(drawn.secrets[name] for name in order)
    return io.BytesIO(secrets + b"".join(number.to_bytes(8, "little") for number in numbers))


class LibraryNode:
    """A client of plain sums."""

    to_client, to_server = secagg.to_client, secagg.to_server

    def __init__(self, drawn: Material, params: Fields, registry: Collection[bytes], inputs: Inputs) -> None:
        self.drawn, self.suite = drawn, suite(params["kem"])
        arrays = {one: [array(rows[0]) for rows in segments] for one, segments in inputs.items()}
        self.client: Any = Client(identity_of(drawn), registry, arrays, rng=rng_of(drawn, params).read)

    def answer(self, frame: bytes) -> bytes:
        with pytest.MonkeyPatch.context() as patch:
            self.prepare(patch)
            (answer,) = self.receive(self.to_client.decode(frame))
        return self.to_server.encode(answer)

    def prepare(self, patch: pytest.MonkeyPatch) -> None:
        """What the library would draw itself is given."""
        patch.setattr(self.suite, "generate", lambda: self.suite.restore(self.drawn.channel))

    def receive(self, message: Any) -> list[Any]:
        return self.client.receive(message)


class LibraryRoundNode(LibraryNode):
    """A client of a submodel round. Its cells and its claim are given, whatever its index set."""

    to_client, to_server = submodel.to_client, submodel.to_server

    def __init__(
        self, drawn: Material, params: Fields, registry: Collection[bytes], maps: rounds.Maps, part: Part
    ) -> None:
        super().__init__(drawn, params, registry, {})
        self.part = part
        self.client = SubmodelClient(
            identity_of(drawn),
            registry,
            np.array([], np.int64),
            dp.InMemoryMemo(),
            maps={name: np.array(public_map, np.int64) for name, public_map in maps.items()},
            key_rng=rng_of(drawn, params).read,
        )

    def prepare(self, patch: pytest.MonkeyPatch) -> None:
        super().prepare(patch)
        patch.setattr(psu, "encode", lambda *_: np.array(self.part.cells, np.uint32))
        patch.setattr(dp, "privatize", lambda _response, union, *_, **_ledger: np.isin(union, self.part.claims))

    def receive(self, message: Any) -> list[Any]:
        answers = self.client.receive(message)
        return answers if answers else self.client.upload(self.update(self.client.download))

    def update(self, download: Downloaded) -> QuantizedUpdate:
        tables = {}
        for name, rows in self.part.rows.items():
            width = download.tables[name].values().shape[1] + 1
            tables[name] = array(sorted(rows)), array([rows[j] for j in sorted(rows)]).reshape(-1, width)
        return QuantizedUpdate(array(self.part.dense), tables)


class LibraryHost:
    """Its server. Clients go by the ranks of their identities."""

    def __init__(self, server: Server, codecs: tuple[Codec[Any], Codec[Any]], invited: Mapping[int, bytes]) -> None:
        self.server, (self.to_client, self.to_server), self.invited = server, codecs, invited

    def start(self) -> dict[int, bytes]:
        return self.frames(self.server.start())

    def close(self, up: Mapping[int, bytes], lost: Collection[int]) -> dict[int, bytes]:
        """Hand over the answers to a step; what is sent next, by client."""
        out: dict[bytes, Any] = {}
        for u, frame in up.items():
            name = self.invited[u]
            out |= self.server.drop(name) if u in lost else self.server.receive(name, self.to_server.decode(frame))
        return self.frames(out)

    def frames(self, out: Mapping[bytes, Any]) -> dict[int, bytes]:
        return {u: self.to_client.encode(out[name]) for u, name in self.invited.items() if name in out}

    def results(self) -> Results:
        """As the reference writes them."""
        return {
            one: {g.name: rows_of(cut(g, opened[g.name])) for g in self.server.params.sum(one).segments}
            for one, opened in self.server.results.items()
        }


def rows_of(residues: np.ndarray) -> list[list[int]]:
    return np.atleast_2d(residues).tolist()


def array(values: Any) -> np.ndarray:
    """Integers that may need the 64th bit."""
    return np.array(values, np.uint64 if np.max(values, initial=0) >= 2**63 else np.int64)
