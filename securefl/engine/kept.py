"""A run that is kept in a folder: begun there, or taken up where its last checkpoint left it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from typing import Any

import msgspec

from securefl.config import Config
from securefl.datasets import ClickLog
from securefl.engine.local import LocalEngine, Record, fleet, recorder
from securefl.engine.threads import one_math_thread
from securefl.errors import ConfigurationError
from securefl.federation.folder import MEMO, Origin, RunFolder
from securefl.federation.metrics import Metrics, lines
from securefl.federation.progress import Progress, Together
from securefl.federation.records import RunSummary
from securefl.federation.setup import Setup
from securefl.federation.training import Engine, State, Training
from securefl.store import SqliteDisclosures, SqliteMemo

__all__ = ["train"]

Nodes = Callable[[Setup, Callable[[Engine], RunSummary]], RunSummary]
"""Gives the loop an engine whose clients are nodes elsewhere, and returns what the loop does."""
FREE = ("cohort.rounds", "run.checkpoint_every", "data.path", "availability.trace")
"""Settings that may change from one start to the next: how far, how carefully, and where files lie."""


def train(
    config: Config,
    log: ClickLog,
    directory: Path,
    progress: Progress,
    *,
    processes: int = 1,
    plain: bool = False,
    ledger: Path | None = None,
    nodes: Nodes | None = None,
) -> RunSummary:
    """Train as `local.run` does, with metrics and checkpoints in `directory`; go on if a run is there already.

    With a seed the final model is the same bit for bit, however often the run was killed. Without one, permanent
    answers are on disk before a claim that follows from them, and are never drawn again. `ledger`: where each round
    leaves what it released. `nodes`: where clients are, if not in processes of this run. Raises `ConfigurationError`
    before anything is written for a folder that is in use or of another run, and when the disk is full: no checkpoint
    is lost then.
    """
    if plain and ledger is not None:
        raise ConfigurationError("--ledger: a plain run shows its server everything; leave --plain or --ledger out")
    if nodes is not None:
        _check_nodes(config, plain=plain, ledger=ledger)
    setup = Setup.of(config, log)  # what cannot be trained leaves no folder behind
    with one_math_thread(), RunFolder(directory) as folder, _opened(ledger) as disclosures:
        origin = folder.origin()
        if origin is not None and setup.random.private:
            setup = Setup.of(config, log, origin.key)
        training, before = Training(setup), len(lines(directory))
        if origin is None:
            origin = _begin(folder, training, setup, disclosures, plain=plain)
        else:
            _check_same(folder, origin, setup, disclosures, plain=plain)
        kept = folder.restore(training.state, setup.model)
        done = len(training.state.records)
        if done > config.cohort.rounds:
            raise ConfigurationError(f"cohort.rounds: {done} rounds are done in {directory}; use {done} or more")
        if nodes is not None:
            return _elsewhere(nodes, folder, training, setup, progress)
        if setup.random.private and before:
            training.state.invited += before - done + 1  # what a killed process may have sent and not kept
        record = _recorder(setup, disclosures, origin, done)
        memo = _memo(directory, origin)
        with (
            fleet(setup, training.state.strategy.weigh, processes, plain=plain, memo=memo) as phones,
            closing(Metrics(directory, training.state.records)) as metrics,
        ):
            phones.restore(kept)

            def checkpoint(state: State) -> None:
                done = len(state.records)
                if done % config.run.checkpoint_every == 0 or done == config.cohort.rounds:
                    folder.save(state, phones.save())

            engine = LocalEngine(setup, phones, plain=plain, record=record)
            return training.run(engine, Together(metrics, progress), checkpoint)


def _check_nodes(config: Config, *, plain: bool, ledger: Path | None) -> None:
    if plain:
        raise ConfigurationError("--engine flower: its nodes take secure rounds only; leave --plain out")
    if ledger is not None:
        raise ConfigurationError("--engine flower: who released what stays with the nodes; leave --ledger out")
    if config.cohort.seed is None:
        raise ConfigurationError(
            "--engine flower: simulated nodes forget their permanent answers when the run ends; set cohort.seed"
        )


def _elsewhere(nodes: Nodes, folder: RunFolder, training: Training, setup: Setup, progress: Progress) -> RunSummary:
    """What nodes keep ends with their run, so its only checkpoint is its end: a killed one begins again."""
    done = len(training.state.records)
    if done == setup.config.cohort.rounds:
        return training.summary()
    if done:
        raise ConfigurationError(
            f"cohort.rounds: what the clients kept in {done} rounds is not with the nodes; name another folder, or go "
            "on with --engine processes"
        )

    with closing(Metrics(folder.path, [])) as metrics:
        summary = nodes(setup, lambda engine: training.run(engine, Together(metrics, progress)))
    folder.save(training.state, {})
    return summary


def _opened(ledger: Path | None) -> AbstractContextManager[SqliteDisclosures | None]:
    return nullcontext() if ledger is None else SqliteDisclosures(ledger)


def _begin(
    folder: RunFolder, training: Training, setup: Setup, disclosures: SqliteDisclosures | None, *, plain: bool
) -> Origin:
    """A new run."""
    settings, private, memo, number = msgspec.to_builtins(setup.config), setup.random.private, None, None
    if disclosures is not None:
        number = disclosures.begin(settings, private=private)
    if private:
        with SqliteMemo(folder.path / MEMO, "") as answers:
            memo = answers.store_id
    origin = Origin(
        settings=settings,
        source=setup.source,
        plain=plain,
        ledger=None if disclosures is None else disclosures.store_id,
        ledger_run=number,
        key=setup.random.key,
        memory=secrets.token_hex(8),
        memo=memo,
        about=training.about(plain=plain),
    )
    folder.begin(origin)
    return origin


def _check_same(
    folder: RunFolder, origin: Origin, setup: Setup, disclosures: SqliteDisclosures | None, *, plain: bool
) -> None:
    """Raise ConfigurationError for the first thing in which a folder's run is another."""
    where, ledger = f"run {folder.path}", None if disclosures is None else disclosures.store_id
    for name, was, wanted in _differences(origin.settings, msgspec.to_builtins(setup.config)):
        raise ConfigurationError(
            f"{where}: begun with {name}={was!r}, not {wanted!r}; name another folder for another run"
        )
    if origin.source != setup.source:
        raise ConfigurationError(f"{where}: begun with other data; give it the same file, or name another folder")
    if origin.plain != plain:
        kind = "plain, so give --plain" if origin.plain else "secure, so leave --plain out"
        raise ConfigurationError(f"{where}: it is {kind}, or name another folder")
    if origin.ledger != ledger:
        kind = "no ledger: leave --ledger out" if origin.ledger is None else "another ledger: name that with --ledger"
        raise ConfigurationError(f"{where}: begun with {kind}, for one with gaps would understate what was released")


def _differences(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for section in now:
        for key, wanted in now[section].items():
            name, had = f"{section}.{key}", was.get(section, {}).get(key)
            if name not in FREE and had != _plain(wanted):
                yield name, had, wanted


def _plain(value: Any) -> Any:
    """As JSON gives it back."""
    return list(value) if isinstance(value, tuple) else value


def _recorder(setup: Setup, disclosures: SqliteDisclosures | None, origin: Origin, done: int) -> Record | None:
    """Goes on with the ledger. A simulation plays the rounds after its checkpoint again, and they are the very same;
    without a seed they are others, and what the lost ones released stays released.
    """
    if disclosures is None or origin.ledger_run is None:
        return None
    if not setup.random.private:
        disclosures.rewind(origin.ledger_run, done)
    return recorder(setup, disclosures, origin.ledger_run, origin.memory)


def _memo(directory: Path, origin: Origin) -> Path | None:
    """The file of all phones' permanent answers, if they must last. Raises ConfigurationError if it is lost."""
    if origin.memo is None:
        return None
    with SqliteMemo(directory / MEMO, "", expected_store=origin.memo):
        return directory / MEMO
