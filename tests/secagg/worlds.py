"""Two kinds of session in two settings, each played once so that every state and every message can be had again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import rounds
import sessions

from securefl import secagg, submodel
from securefl.engine.exchange import Exchange
from securefl.secagg import Participant, Server
from securefl.secagg import states as plain_states
from securefl.secagg.journal import InMemoryJournal, Journal
from securefl.secagg.params import Setting
from securefl.secagg.states import Place, Table
from securefl.submodel import QuantizedUpdate, SubmodelServer
from securefl.submodel import states as round_states
from securefl.submodel.messages import Submodel
from securefl.wire import Codec

N, T, SESSION = 5, 3, b"one session".ljust(32)


class Forgetful(InMemoryJournal):
    """Lets everything happen again."""

    def open(self, session: bytes) -> None:
        pass

    def answer(self, session: bytes, one: str) -> None:
        pass

    def suspend(self, session: bytes) -> int:
        return len(session)

    def resume(self, session: bytes, stage: int) -> None:
        pass


@dataclass(frozen=True)
class World:
    """A kind of session in one setting, with its tables."""

    client_table: Table
    server_table: Table
    place_of: Callable[[object], Place]
    to_client: Codec[Any]
    to_server: Codec[Any]
    server: Callable[[], Server]
    """A server that waits to be started; it does the same each time."""
    client: Callable[[int, Journal], Any]
    """(client, journal) -> a fresh one"""

    def name(self, client: int) -> bytes:
        """The identity key of a client: ids are ranks."""
        return sorted(self.server().invited)[client - 1]

    def wake(self, client: int, data: bytes | None) -> Any:
        """A client as it was when it was suspended; fresh if it never was."""
        awake = self.client(client, Forgetful())
        if data is not None:
            awake.resume(data)
        return awake


def give(client: Participant, message: Any) -> list[Any]:
    """A message of the server or, to a client of a round, the update that it has trained."""
    return client.upload(message) if isinstance(message, QuantizedUpdate) else client.receive(message)


@dataclass
class Sleeper:
    """A client that is bytes between messages, and remembers all of them."""

    world: World
    number: int
    data: bytes | None = None
    past: list[tuple[bytes | None, Any]] = field(default_factory=list)
    """What it was, and what it was given next."""

    def receive(self, message: Any) -> list[Any]:
        answers = self._given(message)
        if not isinstance(message, Submodel):
            return answers
        download = self.world.wake(self.number, self.data).download
        return self._given(rounds.train(self.number, rounds.FIVE[self.number], download))

    def _given(self, message: Any) -> list[Any]:
        self.past.append((self.data, message))
        client = self.world.wake(self.number, self.data)
        answers = give(client, message)
        self.data = client.suspend()
        return answers


@dataclass(frozen=True)
class Record:
    """A session in which nothing went wrong."""

    clients: dict[int, Sleeper]
    sent: list[tuple[bytes, Any]]
    """(identity, message) that the server got, step after step."""

    def steps(self) -> list[dict[bytes, Any]]:
        """What the server got in each step."""
        found: dict[Any, dict[bytes, Any]] = {}
        for name, message in self.sent:
            found.setdefault((type(message), getattr(message, "sum", None)), {})[name] = message
        return list(found.values())


@cache
def world(kind: str, setting: Setting, session: bytes = SESSION) -> World:
    if kind == "sums":
        agreed = sessions.agree(N, T, sessions.A, sessions.B, setting=setting)
        return World(
            plain_states.CLIENT[setting],
            plain_states.SERVER[setting],
            type,
            secagg.to_client,
            secagg.to_server,
            lambda: Server(agreed, [sessions.public(u) for u in range(1, N + 1)], session=session),
            lambda u, journal: sessions.make_client(u, agreed, journal=journal),
        )
    plan = rounds.PLAN
    agreed = plan.params(clients=N, threshold=T, colluders=1, kem="x25519", setting=setting)
    model = plan, rounds.DENSE_LAYERS, rounds.TABLES, [rounds.public(u) for u in rounds.FIVE]
    return World(
        round_states.CLIENT[setting],
        round_states.SERVER[setting],
        round_states.place_of,
        submodel.to_client,
        submodel.to_server,
        lambda: SubmodelServer(agreed, *model, maps=rounds.MAPS, session=session),
        lambda u, journal: rounds.make_client(u, rounds.FIVE[u], N, journal=journal),
    )


@cache
def recorded(kind: str, setting: Setting, session: bytes = SESSION) -> Record:
    """One session of a world, played by sleepers."""
    here, sent = world(kind, setting, session), []
    sleepers = {here.name(u): Sleeper(here, u) for u in range(1, N + 1)}
    on_sent = lambda name, message, _, up: sent.append((name, message)) if up else None  # noqa: E731
    exchange = Exchange(here.server(), sleepers, here.to_client, here.to_server, on_sent=on_sent)
    exchange.run()
    assert not exchange.refusals
    return Record({sleeper.number: sleeper for sleeper in sleepers.values()}, sent)


WORLDS = [(kind, setting) for kind in ("sums", "round") for setting in ("semi_honest", "malicious")]
