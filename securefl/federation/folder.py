"""The folder of a run: its lock, its checkpoints, its metrics. A process killed at any moment goes on from here.

A checkpoint is a model file, whole before anything speaks of it, and then one transaction that does. What is written
between checkpoints (the metrics, a simulation's ledger) is cut back to the last one when a run is taken up again.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
import safetensors.numpy
from msgspec import MsgspecError
from numpy.typing import NDArray

from securefl.errors import ConfigurationError
from securefl.federation.metrics import lines
from securefl.federation.records import RoundRecord, RunSummary, read_line, to_line
from securefl.federation.summary import About, summarize
from securefl.federation.training import State
from securefl.federation.weights import load_arrays, load_weights, model_file
from securefl.models import Model
from securefl.store import Checkpoint, FolderLock, SqliteCheckpoints, replace_file
from securefl.transcript import Label, digest

__all__ = ["MEMO", "Origin", "RunFolder", "read_run"]

STATE, MEMO = "run.db", "memo.db"
Arrays = Mapping[str, NDArray[Any]]


def read_run(path: Path) -> RunSummary:
    """How far the run in a folder has come, also while it goes on. Raises ConfigurationError if none is kept there."""
    if not (path / STATE).is_file():
        raise ConfigurationError(f"run {path}: none is kept there; name a folder that securefl train --run was given")
    with SqliteCheckpoints(path / STATE) as state:
        origin = _origin(state, path)
    if origin is None:
        raise ConfigurationError(f"run {path}: it has not begun; wait for its first round")
    try:
        return summarize(list(map(read_line, lines(path))), **origin.about)
    except MsgspecError:
        raise ConfigurationError(f"run {path}: its metrics are damaged; its next start writes them anew") from None


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What a run was begun with, once and for all."""

    settings: dict[str, dict[str, Any]]
    source: bytes
    """Hash of its data."""
    plain: bool
    ledger: bytes | None
    """The store id of its ledger."""
    ledger_run: int | None
    """Its number there."""
    key: bytes
    """Of `Randomness`."""
    memory: str
    """What its phones' memory is called in the ledger: another name would say that it was lost."""
    memo: bytes | None
    """The store id of the permanent answers; None for a seeded run, whose checkpoints hold them."""
    about: About


class RunFolder:
    """The folder, made if there is none, and locked. Raises ConfigurationError if it is in use or something else's."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
            strangers = [entry.name for entry in path.iterdir() if entry.name != "lock"]
        except OSError as error:
            raise ConfigurationError(f"run {path}: cannot be used: {error.strerror}") from None
        if strangers and STATE not in strangers:
            raise ConfigurationError(f"run {path}: holds {min(strangers)} and no run; name an empty or new folder")
        self._lock = FolderLock(path)
        try:
            self._state = SqliteCheckpoints(path / STATE)
        except BaseException:
            self._lock.close()
            raise

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._state.close()
        self._lock.close()

    def origin(self) -> Origin | None:
        """What the run was begun with; None in a new folder."""
        return _origin(self._state, self.path)

    def begin(self, origin: Origin) -> None:
        """Say so, once."""
        self._state.begin(msgspec.to_builtins(origin))

    def restore(self, state: State, model: Model) -> dict[int, dict[str, NDArray[Any]]]:
        """Bring a fresh state to the last checkpoint, if there is one; what each phone keeps.

        Raises ConfigurationError for a checkpoint that is damaged or of another model.
        """
        point = self._state.latest()
        if point is None:
            return {}
        data = self._read(self.path / point.model)
        if digest(Label.CHECKPOINT, data) != point.model_hash:
            raise ConfigurationError(
                f"run {self.path}: {point.model} is not the file of its checkpoint, round {point.round}; restore it, "
                "or begin anew in another folder"
            )
        state.weights = load_weights(data, model, str(self.path / point.model))
        phones = {user: self._phone(data) for user, data in self._state.phones().items()}
        state.records = list(map(self._record, self._state.records()))
        state.auc_start = self._auc(point)
        self._fill(state, load_arrays(point.arrays, self.path / STATE))
        for user, kept in phones.items():
            if "embedding" in kept:
                state.embeddings[user] = kept["embedding"]
        return phones

    def save(self, state: State, phones: Mapping[int, Arrays]) -> None:
        """A checkpoint, with the phones that changed since the last: from now on the run goes on from here."""
        done = len(state.records)
        last = self._state.latest()
        name, data = f"model-{done:06d}.safetensors", model_file(state.weights)
        replace_file(self.path / name, data, f"run {self.path}")
        arrays = {"last": state.last, "invited": state.invited}
        arrays |= {f"strategy.{key}": value for key, value in state.strategy.state.items()}
        facts = {"auc_start": state.auc_start}
        point = Checkpoint(done, name, digest(Label.CHECKPOINT, data), facts, safetensors.numpy.save(arrays))
        records = [to_line(record) for record in state.records[0 if last is None else last.round :]]
        packed = {user: zlib.compress(safetensors.numpy.save(dict(kept)), 1) for user, kept in phones.items()}
        self._state.save(point, records, packed)
        if last is not None and last.model != name:
            (self.path / last.model).unlink(missing_ok=True)

    def _read(self, path: Path) -> bytes:
        try:
            return path.read_bytes()
        except OSError as error:
            raise ConfigurationError(
                f"run {self.path}: {path.name} cannot be read: {error.strerror}; restore it, or begin anew in another "
                "folder"
            ) from None

    def _phone(self, packed: bytes) -> dict[str, NDArray[Any]]:
        try:
            return load_arrays(zlib.decompress(packed), self.path / STATE)
        except zlib.error:
            raise _damaged(self.path) from None

    def _auc(self, point: Checkpoint) -> float | None:
        try:
            return msgspec.convert(point.facts.get("auc_start"), float | None)
        except MsgspecError:
            raise _damaged(self.path) from None

    def _record(self, line: str) -> RoundRecord:
        try:
            return read_line(line)
        except MsgspecError:
            raise _damaged(self.path) from None

    def _fill(self, state: State, arrays: Arrays) -> None:
        """Write what was saved into the live arrays of a fresh state."""
        live = {"last": state.last, "invited": state.invited}
        live |= {f"strategy.{key}": value for key, value in state.strategy.state.items()}
        if {k: (v.shape, v.dtype) for k, v in live.items()} != {k: (v.shape, v.dtype) for k, v in arrays.items()}:
            raise ConfigurationError(
                f"run {self.path}: written by another version of this program, or damaged; begin anew in another folder"
            )
        for name, values in arrays.items():
            live[name][...] = values


def _origin(state: SqliteCheckpoints, path: Path) -> Origin | None:
    found = state.origin()
    try:
        return None if found is None else msgspec.convert(found, Origin)
    except MsgspecError:
        raise _damaged(path) from None


def _damaged(path: Path) -> ConfigurationError:
    return ConfigurationError(f"run {path}: {STATE} is damaged; restore the file, or begin anew in another folder")
