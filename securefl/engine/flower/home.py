"""Where a node's client finds what outlives a message: its folder, or in a simulation Flower's own state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Protocol, cast

import msgspec
import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flwr.app import ConfigRecord, Context

import dp
from securefl.crypto import Identity
from securefl.errors import ConfigurationError
from securefl.federation.latest import InMemoryUpdates, Updates
from securefl.secagg.journal import InMemoryJournal, Journal
from securefl.store import NodeStore, Remembered, replace_file

FOLDER: Final = "securefl-home"
"""In a node's `--node-config`: the folder of its `NodeStore`."""
SIMULATION: Final = "securefl-simulation"
"""In the run's configuration: nodes without a folder make their identities up and believe the server's registry."""
STATE: Final = "securefl.home"


class Home(Protocol):
    """What a client keeps between messages."""

    deployed: bool
    """False in a simulation, which protects nobody."""

    @property
    def identity(self) -> Identity:
        """Its signing key."""

    @property
    def registry(self) -> frozenset[bytes] | None:
        """Who is registered; None where the server's word is taken for it."""

    @property
    def journal(self) -> Journal:
        """Marks of sessions and answers."""

    @property
    def memo(self) -> dp.Memo:
        """Permanent answers."""

    @property
    def ledger(self) -> dp.Ledger | None:
        """What it has spent; None refuses nothing."""

    @property
    def updates(self) -> Updates:
        """What it sent in a run of FedLaAvg."""


def keep(context: Context, name: str, data: bytes) -> None:
    """Leave bytes of the application where the node's client lives: in its folder, or in a simulation's state."""
    folder = context.node_config.get(FOLDER)
    if folder is None:
        context.state.config_records[f"{STATE}.{name}"] = ConfigRecord({"data": data})
    else:
        replace_file(Path(str(folder)) / name, data, FOLDER)


def kept(context: Context, name: str) -> bytes | None:
    """What was left there under this name, or None."""
    folder = context.node_config.get(FOLDER)
    if folder is None:
        record = context.state.config_records.get(f"{STATE}.{name}")
        return None if record is None else cast(bytes, record["data"])
    with suppress(FileNotFoundError):
        return (Path(str(folder)) / name).read_bytes()
    return None


def is_deployed(context: Context) -> bool:
    """Whether the node has a folder of its own."""
    return FOLDER in context.node_config


@contextmanager
def home(context: Context, *, simulated: bool = False) -> Iterator[Home]:
    """The home of the node that `context` belongs to. `simulated`: what a node without a folder is; one with a folder
    is never taken for that.
    """
    folder = context.node_config.get(FOLDER)
    if folder is not None:
        with NodeStore(str(folder)) as store:
            yield store
    elif simulated or context.run_config.get(SIMULATION) is True:
        made_up = SimulatedHome(context)
        try:
            yield made_up
        finally:
            made_up.save()
    else:
        raise ConfigurationError(
            f"node-config: {FOLDER} is missing: name the folder of this node's store; a simulation sets "
            f"{SIMULATION}=true in the run's configuration"
        )


class SimulatedHome:
    """A made-up client in `context.state`, as long as Flower keeps it."""

    deployed, registry, ledger = False, None, None

    def __init__(self, context: Context) -> None:
        self._context = context
        saved: dict[str, Any] = dict(context.state.config_records.get(STATE, {}))
        self._key = Ed25519PrivateKey.from_private_bytes(saved["key"]) if saved else Ed25519PrivateKey.generate()
        self.identity = Identity(self._key)
        self.journal, self.memo, self.updates = _Journal(), _Memo(), _Updates()
        if saved:
            self.journal.load(saved["journal"])
            self.memo.load(saved["memo"])
            self.updates.load(saved["updates"])

    def save(self) -> None:
        """Put everything back."""
        self._context.state.config_records[STATE] = ConfigRecord(
            {
                "key": self._key.private_bytes_raw(),
                "journal": self.journal.dump(),
                "memo": self.memo.dump(),
                "updates": self.updates.dump(),
            }
        )


class _Journal(InMemoryJournal):
    def dump(self) -> bytes:
        return msgspec.msgpack.encode((self._stages, self._answers))

    def load(self, data: bytes) -> None:
        self._stages, self._answers = msgspec.msgpack.decode(data, type=tuple[dict[bytes, int], set[tuple[bytes, str]]])


class _Memo(dp.InMemoryMemo):
    def dump(self) -> bytes:
        asked, answers = self.known()
        return msgspec.msgpack.encode((asked.tobytes(), answers.tobytes()))

    def load(self, data: bytes) -> None:
        asked, answers = msgspec.msgpack.decode(data, type=tuple[bytes, bytes])
        self.remember(np.frombuffer(asked, np.int64), np.frombuffer(answers, np.int8))


class _Updates(InMemoryUpdates):
    def dump(self) -> bytes:
        known = self._known
        vectors = [None if one is None else one.tobytes() for one in (known.latest, known.proposed)]
        return msgspec.msgpack.encode((known.run, known.included, known.session, *vectors))

    def load(self, data: bytes) -> None:
        kinds = tuple[bytes, bytes, bytes, bytes | None, bytes | None]
        run, included, session, *vectors = msgspec.msgpack.decode(data, type=kinds)
        latest, proposed = (None if one is None else np.frombuffer(one, np.int64) for one in vectors)
        self._known = Remembered(run, included, latest, session, proposed)
