"""Everything a client keeps for ever, in one folder of its own: identity, marks, permanent answers, who is registered.

Losing a file of it is noticed; a folder is made once, on purpose, and never by opening it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dp import Budget
from securefl.crypto import Identity
from securefl.errors import ConfigurationError
from securefl.store.files import replace_file
from securefl.store.journal import SqliteJournal
from securefl.store.ledger import SqliteLedger
from securefl.store.memo import SqliteMemo
from securefl.store.updates import SqliteUpdates

__all__ = ["NodeStore", "read_registry", "write_registry"]

IDENTITY, STORES, REGISTRY = "identity.pem", "stores.json", "registry.txt"
JOURNAL, MEMO, LEDGER, UPDATES = "journal.sqlite", "memo.sqlite", "ledger.sqlite", "updates.sqlite"
CLIENT = "self"
"""The name under which the one client of a folder answers."""


class NodeStore:
    """A client's folder, opened. A context manager; one object serves one thread of one process.

    `registry`: identity keys of all registered clients, from `registry.txt`: put there by whoever runs the node, never
    by the server. `ledger` is None without a `budget`.
    """

    deployed = True

    def __init__(self, folder: str | Path, budget: Budget | None = None) -> None:
        self._folder = Path(folder).absolute()
        stores = self._store_ids()
        self.identity = _read_identity(self._folder / IDENTITY)
        self.journal = SqliteJournal(self._folder / JOURNAL, stores["journal"])
        self.memo = SqliteMemo(self._folder / MEMO, CLIENT, expected_store=stores["memo"])
        self.ledger = None if budget is None else self._open_ledger(budget, stores)
        self._updates: SqliteUpdates | None = None

    @classmethod
    def create(cls, folder: str | Path) -> bytes:
        """Make a folder with a fresh identity, whose public key comes back. `ConfigurationError` if it has one."""
        path = Path(folder).absolute()
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(path.glob("*.sqlite")) or (path / IDENTITY).exists():
            raise ConfigurationError(f"node store {path}: there is one already; name another folder")
        with SqliteJournal(path / JOURNAL) as journal, SqliteMemo(path / MEMO, CLIENT) as memo:
            _write_stores(path / STORES, {"journal": journal.store_id, "memo": memo.store_id})
        return _write_identity(path / IDENTITY)

    @property
    def registry(self) -> frozenset[bytes]:
        """Identity keys of the registered clients. `ConfigurationError` if the file is missing or no list of keys."""
        return read_registry(self._folder / REGISTRY)

    @property
    def updates(self) -> SqliteUpdates:
        """What it sent in a run of FedLaAvg. Made when it is first asked for; from then on it has to be there."""
        if self._updates is None:
            stores = self._store_ids()
            self._updates = SqliteUpdates(self._folder / UPDATES, stores.get("updates"))
            if "updates" not in stores:
                _write_stores(self._folder / STORES, stores | {"updates": self._updates.store_id})
        return self._updates

    def close(self) -> None:
        """Close every file."""
        self.journal.close()
        self.memo.close()
        for one in (self.ledger, self._updates):
            if one is not None:
                one.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _store_ids(self) -> dict[str, bytes]:
        path = self._folder / STORES
        try:
            return msgspec.json.decode(path.read_bytes(), type=dict[str, bytes])
        except OSError:
            raise ConfigurationError(
                f"node store {self._folder}: there is none; make one with `securefl node {self._folder}`"
            ) from None
        except msgspec.MsgspecError:
            raise ConfigurationError(f"node store {path}: damaged; restore the folder from a backup") from None

    def _open_ledger(self, budget: Budget, stores: dict[str, bytes]) -> SqliteLedger:
        """The first one is made; from then on it has to be there."""
        ledger = SqliteLedger(self._folder / LEDGER, CLIENT, budget, expected_store=stores.get("ledger"))
        if "ledger" not in stores:
            _write_stores(self._folder / STORES, stores | {"ledger": ledger.store_id})
        return ledger


def read_registry(path: str | Path) -> frozenset[bytes]:
    """Identity keys from a file: 64 hexadecimal digits a line, what follows a # is a comment."""
    try:
        lines = Path(path).read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        raise ConfigurationError(
            f"registry {path}: cannot be read; put one there with the identity key of every client, a line each"
        ) from None
    keys = [key for line in lines if (key := line.partition("#")[0].strip())]
    wrong = next((number for number, key in enumerate(keys, 1) if not re.fullmatch("[0-9a-fA-F]{64}", key)), None)
    if wrong is not None:
        raise ConfigurationError(f"registry {path}: key {wrong} is not 64 hexadecimal digits")
    return frozenset(map(bytes.fromhex, keys))


def write_registry(path: str | Path, keys: Collection[bytes]) -> None:
    """The same file, from keys."""
    replace_file(Path(path), "".join(f"{key.hex()}\n" for key in sorted(keys)).encode(), "registry")


def _read_identity(path: Path) -> Identity:
    try:
        readable_by_others = path.stat().st_mode & 0o077
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError):
        raise ConfigurationError(
            f"identity {path}: cannot be read as a private key; restore it, or make a node store anew and register it"
        ) from None
    if readable_by_others:
        raise ConfigurationError(f"identity {path}: others may read it; chmod 600 it, and think of taking a new one")
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError(f"identity {path}: not an Ed25519 key; make a node store anew and register it")
    return Identity(key)


def _write_identity(path: Path) -> bytes:
    """Made for the owner's eyes only; never written over."""
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    return key.public_key().public_bytes_raw()


def _write_stores(path: Path, stores: dict[str, bytes]) -> None:
    replace_file(path, msgspec.json.encode(stores), "node store")
