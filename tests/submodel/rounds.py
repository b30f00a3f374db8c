"""Whole submodel rounds in one process, with the right to lose, change and watch every message."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import dp
import psu
from securefl.crypto import Identity
from securefl.engine.exchange import Exchange
from securefl.errors import LocalProtocolError, ProtocolError
from securefl.secagg import Aborted, Params
from securefl.secagg.messages import AdvertiseKeys, MaskedInput, ShareKeys, Unmasking
from securefl.secagg.params import Setting
from securefl.submodel import (
    UNION,
    UPDATE,
    Downloaded,
    Quantization,
    QuantizedUpdate,
    SubmodelClient,
    SubmodelPlan,
    SubmodelServer,
    Table,
    indexset,
    map_hash,
    to_client,
    to_server,
)
from securefl.submodel.messages import Claim, Submodel

IDENTITIES = sorted(
    (Identity(Ed25519PrivateKey.from_private_bytes(bytes((i,)) * 32)) for i in range(1, 17)), key=lambda i: i.public
)
"""In the order of their keys: if all n invited clients answer, client u is IDENTITIES[u - 1]."""

ITEMS, CATEGORIES, DENSE = 12, 4, 3
CATEGORY_OF = np.array([0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 3, 3], np.int64)
MAPS = {"categories": CATEGORY_OF}
MODEL = np.random.default_rng(7)
DENSE_LAYERS = MODEL.normal(size=DENSE).astype(np.float32)
TABLES = {
    "items": MODEL.normal(size=(ITEMS, 2)).astype(np.float32),
    "categories": MODEL.normal(size=(CATEGORIES, 1)).astype(np.float32),
}

TRUTH, EVERYTHING, SEVEN_EIGHTHS = ("1", "0", "1", "0"), ("1", "1", "1", "1"), ("7/8", "1/8", "7/8", "1/8")
"""Responses: no privacy, a claim of all the union, and the default."""

STEPS: list[tuple[type, str | None]] = [
    (AdvertiseKeys, None),
    (ShareKeys, None),
    (MaskedInput, UNION),
    (Unmasking, UNION),
    (Claim, None),
    (MaskedInput, UPDATE),
    (Unmasking, UPDATE),
]
"""The seven messages of a client."""

Change = Callable[[int, Any], Any]


def union_plan(kind: str = "bitmap") -> psu.UnionPlan:
    """32-bit cells: an index that two clients hold is lost once in 2^32 rounds."""
    if kind == "filter":
        return psu.UnionPlan("filter", ITEMS, 6, 16, cells=40, bits=32, hashes=2)
    return psu.UnionPlan("bitmap", ITEMS, 6, 16, cells=ITEMS, bits=32, hashes=1)


def make_plan(**others: Any) -> SubmodelPlan:
    how = Quantization(8, 1.0, 10)
    settings = {
        "union": union_plan().to_bytes(),
        "response": TRUTH,
        "tables": (Table("items", ITEMS, 2), Table("categories", CATEGORIES, 1, map_hash(CATEGORY_OF))),
        "dense": DENSE,
        "row_floor": 1,
        "ring_bits": 24,
        "row_quantization": how,
        "dense_quantization": how,
        "training": (("learning_rate", "0.1"),),
    }
    return SubmodelPlan(**settings | others)


def agree(
    plan: SubmodelPlan, clients: int, threshold: int, colluders: int = 1, setting: Setting = "semi_honest"
) -> Params:
    return plan.params(clients=clients, threshold=threshold, colluders=colluders, kem="x25519", setting=setting)


def public(client: int) -> bytes:
    return IDENTITIES[client - 1].public


def indices(values: Iterable[int]) -> np.ndarray:
    return np.array(sorted(values), np.int64)


def told(client: int, kind: type, change: Callable[[Any], Any]) -> Change:
    """What the server tells this client of one kind is changed."""
    return lambda u, m: change(m) if u == client and type(m) is kind else m


def unchanged(_client: int, message: Any) -> Any:
    return message


def make_client(client: int, held: Iterable[int], clients: int, **others: Any) -> SubmodelClient:
    registry = {public(u) for u in range(1, clients + 1)}
    settings = {"maps": MAPS, "memo": dp.InMemoryMemo()} | others
    return SubmodelClient(IDENTITIES[client - 1], registry, indices(held), **settings)


def train(client: int, held: Collection[int], download: Downloaded) -> QuantizedUpdate:
    """Integers of either sign for every row that is held and claimed, different by client, row and place."""
    tables = {}
    for name, own in (("items", indices(held)), ("categories", np.unique(CATEGORY_OF[indices(held)]))):
        rows = np.intersect1d(own, download.rows(name)[0])
        width = download.rows(name)[1].shape[1] + 1
        places = np.arange(width) + 10 * rows[:, None]
        tables[name] = rows, (places + 1000 * client) * np.where(places % 2, 1, -1)
    return QuantizedUpdate(np.arange(DENSE + 1) * client - 3, tables)


@dataclass
class Round:
    """A round, once it has been played."""

    plan: SubmodelPlan
    server: SubmodelServer
    clients: Mapping[int, SubmodelClient]
    held: Mapping[int, Collection[int]]
    sent: list[tuple[int, Any]] = field(default_factory=list)
    """(client, message) that the server got."""
    shown: list[tuple[int, Any]] = field(default_factory=list)
    """(client, message) of the server, before any change."""
    errors: dict[int, ProtocolError] = field(default_factory=dict)
    updates: dict[int, QuantizedUpdate] = field(default_factory=dict)
    """What each client trained."""
    outcome: ProtocolError | None = None

    def senders(self, kind: type, name: str | None = None) -> set[int]:
        return {u for u, m in self.sent if type(m) is kind and name in (None, getattr(m, "sum", None))}

    def messages(self, kind: type, name: str | None = None) -> dict[int, Any]:
        """By client, what it sent of one kind (in one sum)."""
        return {u: m for u, m in self.sent if type(m) is kind and name in (None, getattr(m, "sum", None))}

    def told(self, kind: type) -> dict[int, Any]:
        """By client, what the server told it of one kind."""
        return {u: m for u, m in self.shown if type(m) is kind}

    def claimed(self) -> dict[int, dict[str, set[int]]]:
        """By client and table, the rows it claimed, as the server understood it."""
        union, claims = self.server.union, self.messages(Claim)
        claims = {u: union[indexset.decode(claims[u].positions, union.size)] for u in self.told(Submodel)}
        return {
            u: {"items": set(own.tolist()), "categories": set(CATEGORY_OF[own].tolist())} for u, own in claims.items()
        }

    def above_the_floor(self) -> dict[str, list[int]]:
        """By table, the rows with enough claimants."""
        counts = {name: np.zeros(len(table), int) for name, table in TABLES.items()}
        for own in self.claimed().values():
            for name, rows in own.items():
                counts[name][list(rows)] += 1
        return {name: np.flatnonzero(count >= self.plan.row_floor).tolist() for name, count in counts.items()}

    def clear(self, clients: Collection[int]) -> dict[str, Any]:
        """What the sums of these clients' updates must be."""
        out: dict[str, Any] = {"dense": sum(self.updates[u].dense for u in clients).tolist()}
        for name, rows in self.above_the_floor().items():
            total = np.zeros((len(TABLES[name]), TABLES[name].shape[1] + 1), np.int64)
            for u in clients:
                own, values = self.updates[u].tables[name]
                total[own] += values
            out[name] = {row: total[row].tolist() for row in rows}
        return out

    def opened(self) -> dict[str, Any]:
        """What the server has opened, in the same form."""
        sums = self.server.sums
        out: dict[str, Any] = {"dense": [*sums.dense.tolist(), sums.dense_count]}
        for name, table in sums.tables.items():
            rows = np.column_stack([table.sums, table.counts]).tolist()
            out[name] = dict(zip(table.indices.tolist(), rows, strict=True))
        return out

    def is_exact(self, survivors: Collection[int]) -> bool:
        """Whether the update was opened and is, bit for bit, that of exactly these clients."""
        if UPDATE not in self.server.results:
            return False
        named = {self.server.name_of(u) for u in self.server.survivors[UPDATE]}
        return named == set(map(public, survivors)) and self.opened() == self.clear(survivors)

    def refused(self, client: int, error: type[ProtocolError], sentence: str, after: int) -> bool:
        """Whether a client ended the round with this error, for good, having sent only the first few messages."""
        raised = self.errors.get(client)
        sent = [(type(m), getattr(m, "sum", None)) for u, m in self.sent if u == client]
        over = isinstance(self.clients[client].state, Aborted)
        return type(raised) is error and sentence in str(raised) and over and sent == STEPS[:after]


@dataclass
class Phone:
    """A client that trains, whose messages are changed both ways."""

    round: Round
    client: int
    down: Change
    up: Change

    def receive(self, message: Any) -> list[Any]:
        self.round.shown.append((self.client, message))
        node = self.round.clients[self.client]
        try:
            answers = node.receive(self.down(self.client, message))
            if isinstance(message, Submodel):
                update = train(self.client, self.round.held[self.client], node.download)
                self.round.updates[self.client] = update
                answers = node.upload(update)
        except ProtocolError as error:
            self.round.errors[self.client] = error
            raise
        return [self.up(self.client, answer) for answer in answers]


def play(
    plan: SubmodelPlan,
    threshold: int,
    held: Mapping[int, Collection[int]],
    *,
    down: Change = unchanged,
    up: Change = unchanged,
    loses: Callable[[int, Any], bool] = lambda *_: False,
    may_return: bool = False,
    clients: Mapping[int, SubmodelClient] | None = None,
    setting: Setting = "semi_honest",
    **settings: Any,
) -> Round:
    """A round of clients 1, 2, ... with these index sets; `clients` stand in for some, `settings` are the server's."""
    numbers = {public(u): u for u in held}
    agreed = agree(plan, len(held), threshold, setting=setting)
    everybody = {u: make_client(u, own, len(held)) for u, own in held.items()} | dict(clients or {})
    server = SubmodelServer(agreed, plan, DENSE_LAYERS, TABLES, numbers, maps=MAPS, **settings)
    played = Round(plan, server, everybody, held)
    exchange = Exchange(
        server,
        {name: Phone(played, u, down, up) for name, u in numbers.items()},
        to_client,
        to_server,
        loses=lambda name, message: loses(numbers[name], message),
        on_sent=lambda name, message, _, is_up: played.sent.append((numbers[name], message)) if is_up else None,
        may_return=may_return,
    )
    try:
        exchange.run()
    except ProtocolError as error:
        played.outcome = error
    return played


PLAN = make_plan()
FIVE = {1: [0, 1, 2], 2: [0, 1], 3: [0, 6, 7], 4: [0, 11], 5: [0]}
"""Five clients' index sets: all hold item 0."""
VICTIM, OTHERS = 3, {1, 2, 4, 5}
"""Whom the server lies to, and whom not."""


def stopped_at(kind: type, name: str | None = None) -> tuple[SubmodelClient, Any]:
    """The victim as it is before a message of this kind (of this sum), and that message."""
    client, withheld = make_client(VICTIM, FIVE[VICTIM], 5), []

    def down(number: int, message: Any) -> Any:
        if number == VICTIM and type(message) is kind and name in (None, getattr(message, "sum", None)):
            withheld.append(message)
            raise LocalProtocolError("the test stops here")
        return message

    play(PLAN, 3, FIVE, down=down, clients={VICTIM: client})
    return client, withheld[0]


def downloaded() -> SubmodelClient:
    """The victim with its rows, before it answers with an update."""
    client, message = stopped_at(Submodel)
    assert client.receive(message) == []
    return client
