"""Whole sessions in one process, with the right to lose, change and watch every message."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from securefl.crypto import Identity, suite
from securefl.engine.exchange import Exchange
from securefl.errors import ProtocolError
from securefl.secagg import Aborted, Client, Params, Segment, Server, Sum, cut, to_client, to_server
from securefl.secagg.bundles import sign_bundles
from securefl.secagg.dealing import KeysShared, value_hash
from securefl.secagg.messages import AdvertiseKeys, Bundle, ShareKeys
from securefl.secagg.setup import HALF
from securefl.transcript import Label, encode

IDENTITIES = sorted(
    (Identity(Ed25519PrivateKey.from_private_bytes(bytes((i,)) * 32)) for i in range(1, 33)), key=lambda i: i.public
)
"""In the order of their keys: if the first n are invited and all answer, client u is IDENTITIES[u - 1]."""

A = Sum("a", (Segment("x", 20, 3),))
B = Sum("b", (Segment("x", 20, 3), Segment("y", 40, 2)))

Change = Callable[[int, Any], Any]
"""(client, message) -> the message that arrives instead."""
Loss = Callable[[int, Any], bool]
"""(client, message) -> whether it is lost on its way to the server."""


def unchanged(_client: int, message: Any) -> Any:
    return message


def lose_nothing(_client: int, _message: Any) -> bool:
    return False


def losing(clients: Iterable[int], kind: type, name: str | None = None) -> Loss:
    """Lose what these clients send of one kind (in one sum)."""
    lost = set(clients)
    return lambda u, m: u in lost and type(m) is kind and name in (None, getattr(m, "sum", None))


def told(client: int, kind: type, change: Callable[[Any], Any]) -> Change:
    """What the server tells this client of one kind is changed."""
    return lambda u, m: change(m) if u == client and type(m) is kind else m


def agree(clients: int, threshold: int, *sums: Sum, colluders: int = 1, kem: str = "x25519", **others: Any) -> Params:
    return Params(clients, threshold, colluders, kem, sums or (A,), **others).check()


def values_of(client: int, segment: Segment) -> np.ndarray:
    """What client u puts in, uint64 (words,): it fills the ring and differs by client, segment and place."""
    rng = np.random.default_rng([client, segment.bits, segment.words])
    return rng.integers(0, (1 << segment.bits) - 1, segment.words, np.uint64, endpoint=True)


def clear_sum(segment: Segment, clients: Sequence[int]) -> list[int]:
    """The sum of these clients' values, in big integers."""
    columns = zip(*(values_of(u, segment).tolist() for u in clients), strict=True)
    return [sum(column) % (1 << segment.bits) for column in columns]


def public(client: int) -> bytes:
    return IDENTITIES[client - 1].public


def make_client(client: int, agreed: Params, inputs: Mapping[str, Any] | None = None, **others: Any) -> Client:
    """Client u with `values_of` it as its inputs, which knows the cohort's identities."""
    if inputs is None:
        inputs = {s.name: [values_of(client, g) for g in s.segments] for s in agreed.sums}
    registry = {public(u) for u in range(1, agreed.clients + 1)}
    return Client(IDENTITIES[client - 1], registry, inputs, **others)


@dataclass
class Session:
    """A session, once it has run."""

    agreed: Params
    server: Server
    clients: Mapping[int, Client]
    sent: list[tuple[int, Any]] = field(default_factory=list)
    """(client, message) that the server got."""
    shown: list[tuple[int, Any]] = field(default_factory=list)
    """(client, message) of the server, before any change."""
    errors: dict[int, ProtocolError] = field(default_factory=dict)
    """What each client raised."""
    outcome: ProtocolError | None = None
    """What ended the session, if something did."""

    def opened(self, name: str) -> dict[str, list[int]]:
        """A result by segment, cut to its ring."""
        segments = {s.name: s for s in self.agreed.sum(name).segments}
        return {s: cut(segments[s], total).tolist() for s, total in self.server.results[name].items()}

    def is_exact(self, name: str, survivors: set[int] | None = None) -> bool:
        """Whether a sum was opened and is, bit for bit, that of its survivors: of these clients, if they are given."""
        if name not in self.server.results:
            return False
        numbers = {public(u): u for u in self.clients}
        named = {numbers[self.server.name_of(u)] for u in self.server.survivors[name]}
        clear = {s.name: clear_sum(s, sorted(named)) for s in self.agreed.sum(name).segments}
        return survivors in (None, named) and self.opened(name) == clear

    def senders(self, kind: type, name: str | None = None) -> set[int]:
        """Who got a message of this kind (in this sum) through."""
        return {u for u, m in self.sent if type(m) is kind and name in (None, getattr(m, "sum", None))}

    def refused(self, client: int, error: type[ProtocolError], sentence: str, after: Sequence[type]) -> bool:
        """Whether a client ended the session with this error, for good, having sent only what came before."""
        raised = self.errors.get(client)
        return (
            type(raised) is error
            and re.search(sentence, str(raised)) is not None
            and isinstance(self.clients[client].state, Aborted)
            and [type(m) for u, m in self.sent if u == client] == list(after)
        )

    def fault(self, client: int) -> str | None:
        """What the server holds against a client."""
        return self.server.faults.get(public(client))


@dataclass
class Tap:
    """A client whose messages are changed both ways."""

    session: Session
    client: int
    down: Change
    up: Change

    def receive(self, message: Any) -> list[Any]:
        self.session.shown.append((self.client, message))
        try:
            answers = self.session.clients[self.client].receive(self.down(self.client, message))
        except ProtocolError as error:
            self.session.errors[self.client] = error
            raise
        return [self.up(self.client, answer) for answer in answers]


def play(
    agreed: Params,
    *,
    down: Change = unchanged,
    up: Change = unchanged,
    loses: Loss = lose_nothing,
    may_return: bool = False,
    clients: Mapping[int, Client] | None = None,
) -> Session:
    """Run a session of the first identities, as many as `agreed` takes; `clients` stand in for some of them."""
    numbers = {public(u): u for u in range(1, agreed.clients + 1)}
    everybody = {u: make_client(u, agreed) for u in numbers.values()} | dict(clients or {})
    session = Session(agreed, Server(agreed, numbers), everybody)
    exchange = Exchange(
        session.server,
        {name: Tap(session, u, down, up) for name, u in numbers.items()},
        to_client,
        to_server,
        loses=lambda name, message: loses(numbers[name], message),
        on_sent=lambda name, message, _, is_up: session.sent.append((numbers[name], message)) if is_up else None,
        may_return=may_return,
    )
    try:
        exchange.run()
    except ProtocolError as error:
        session.outcome = error
    return session


def sign_advert(
    client: int, session: bytes, agreed: Params, channel: bytes, commitments: bytes | None = None
) -> AdvertiseKeys:
    """A properly signed advert of a client that chose these keys."""
    identity, commitments = IDENTITIES[client - 1], bytes(64 * len(agreed.sums)) if commitments is None else commitments
    signature = identity.sign(Label.ADVERT, session, agreed.hash, identity.public, channel, commitments)
    return AdvertiseKeys(identity.public, channel, commitments, signature)


def values_dealt(shared: KeysShared, holder: int, shares: Mapping[tuple[str, str], bytes]) -> dict[Any, bytes]:
    """What an honest dealer puts into a bundle, in order, from its shares."""
    return {name: shared.halves[name[0], holder] if name[1] == HALF else shares[name] for name in shared.setup.dealt}


def deal(shared: KeysShared, holder: int, plain: bytes, hashed: Sequence[bytes]) -> Bundle:
    """A bundle whatever is in it: `plain` in the box, the hashes of the values `hashed`."""
    setup = shared.setup
    info = encode(Label.BOX, setup.session, setup.root, shared.id, holder)
    return bundle(shared, holder, suite(setup.params.kem).seal(shared.peers[holder].channel, info, plain), hashed)


def deal_again(shared: KeysShared, message: ShareKeys, bundles: Mapping[int, Bundle]) -> ShareKeys:
    """The dealer's message with some bundles replaced, signed by it."""
    return sign_bundles(shared.setup, shared.id, shared.identity, message.bundles | dict(bundles))


def bundle(shared: KeysShared, holder: int, box: bytes, hashed: Sequence[bytes]) -> Bundle:
    """A bundle whatever its box: the hashes are of the values `hashed`."""
    setup = shared.setup
    hashes = b"".join(
        value_hash(setup.session, shared.id, holder, name, value)
        for name, value in zip(setup.dealt, hashed, strict=True)
    )
    return Bundle(box, hashes)
