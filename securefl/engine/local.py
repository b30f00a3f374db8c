"""The local engine: every phone and the server on this machine, every message through the codec.

What it measures is what the parties would send and compute. What it adds is the view no party has: the same sums in
clear, to say whether the secure ones are exactly equal.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from securefl.config import Config
from securefl.datasets import ClickLog
from securefl.engine.fleet import Fleet, LocalFleet, World
from securefl.engine.losses import Losses
from securefl.engine.plain import PlainRound
from securefl.engine.processes import ProcessFleet
from securefl.engine.round import SimulatedRound
from securefl.engine.threads import one_math_thread
from securefl.federation.progress import Progress
from securefl.federation.records import RunSummary
from securefl.federation.setup import Setup
from securefl.federation.strategy import Weigh
from securefl.federation.training import Played, Training
from securefl.models import Model, Weights
from securefl.store import SqliteDisclosures
from securefl.submodel import SubmodelServer


@dataclass(frozen=True, eq=False)
class Trained:
    """What a run leaves behind: the shared weights, and every user's private embedding, float32 (users, d)."""

    model: Model
    weights: Weights
    embeddings: NDArray[np.float32]


def run(
    config: Config,
    log: ClickLog,
    progress: Progress,
    *,
    processes: int = 1,
    plain: bool = False,
    model: Model | None = None,
    keep: Callable[[Trained], None] | None = None,
    disclosures: SqliteDisclosures | None = None,
) -> RunSummary:
    """Train for `config.cohort.rounds` rounds, client work spread over `processes`; `keep` gets what was trained.

    `plain`: the same rounds without masks, keys and messages; with a seed the model is the same, bit for bit.
    `model`: another than the configured one, such as a `models.torch.TorchModel`.
    `disclosures`: where each round leaves what it released, for an audit of the run.
    Raises `ConfigurationError` before anything starts. The result does not depend on `processes`, nor on how many
    threads matrix products would take: here they take one.
    """
    setup = Setup.of(config, log, model=model)
    with one_math_thread():
        training = Training(setup)
        with fleet(setup, training.state.strategy.weigh, processes, plain=plain) as phones:
            record = None if disclosures is None else _new_record(setup, disclosures)
            summary = training.run(LocalEngine(setup, phones, plain=plain, record=record), progress)
    if keep is not None:
        keep(Trained(setup.model, training.state.weights, training.state.embeddings))
    return summary


def fleet(
    setup: Setup, weigh: Weigh, processes: int, *, plain: bool = False, memo: Path | None = None
) -> AbstractContextManager[Fleet]:
    """The phones of a run. `weigh`: the client's part of the strategy. `memo`: where answers are kept for ever."""
    training, random = setup.config.training, setup.random
    world = World(setup.log, setup.model, setup.plan, setup.maps, setup.params, training, random, weigh, plain, memo)
    return ProcessFleet(world, processes) if processes > 1 else closing(LocalFleet(world))


Record = Callable[[SimulatedRound, Mapping[bytes, str]], None]
"""What is told of a played round, and of who its clients are."""


def _new_record(setup: Setup, disclosures: SqliteDisclosures) -> Record:
    """The phones' memos are as old as the run: their name is its own."""
    number = disclosures.begin(msgspec.to_builtins(setup.config), private=setup.random.private)
    return recorder(setup, disclosures, number, secrets.token_hex(8))


def recorder(setup: Setup, disclosures: SqliteDisclosures, number: int, memo: str) -> Record:
    """Keeps rounds as those of run `number`, whose phones remember under the name `memo`."""
    return lambda played, users: disclosures.append(number, played.disclosure(users, memo, setup.maps))


class LocalEngine:
    """A `federation.training.Engine`: the server of every round, over the phones of a fleet."""

    def __init__(self, setup: Setup, fleet: Fleet, *, plain: bool = False, record: Record | None = None) -> None:
        self.plain = plain
        self._setup, self._fleet, self._record = setup, fleet, record

    def play(self, number: int, cohort: Sequence[int], weights: Weights, progress: Progress) -> Played:
        """See `federation.training.Engine`."""
        setup, names = self._setup, self._fleet.begin(number, cohort)
        self._fleet.admit(frozenset(names.values()))
        dropout, malicious = setup.config.cohort.dropout, setup.params.malicious
        losses = Losses(names.values(), dropout, setup.random.generator("losses", number), malicious=malicious)
        if self.plain:
            played = PlainRound(number, setup, weights, self._fleet, list(names.values()), losses, progress)
            opened = played.play()
            return Played(played.record(), opened, self._fleet.learned())
        return self._secure(number, names, weights, losses, progress)

    def _secure(
        self, number: int, names: Mapping[int, bytes], weights: Weights, losses: Losses, progress: Progress
    ) -> Played:
        setup, registry = self._setup, frozenset(names.values())
        server = SubmodelServer(
            setup.params,
            setup.plan,
            weights.dense,
            weights.tables,
            registry,
            maps=setup.maps,
            on_tested=progress.decoding,
        )
        played = SimulatedRound(number, setup.plan, server, self._fleet, losses, progress)
        opened = played.play()
        if self._record is not None:
            self._record(played, {name: str(user) for user, name in names.items()})
        return Played(played.record(), opened, self._fleet.learned())
