"""The local engine: every phone and the server on this machine, every message through the codec.

What it measures is what the parties would send and compute. What it adds is the view no party has: the same sums in
clear, to say whether the secure ones are exactly equal.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from securefl.config import Config, check_population, validate
from securefl.datasets import ClickLog
from securefl.engine.fleet import Fleet, LocalFleet, World
from securefl.engine.losses import Losses
from securefl.engine.processes import ProcessFleet
from securefl.engine.randomness import Randomness
from securefl.engine.round import SimulatedRound
from securefl.federation.evaluation import Evaluation
from securefl.federation.planning import (
    click_model,
    expected_union,
    full_model_bytes,
    round_params,
    round_plan,
    union_plan,
)
from securefl.federation.progress import Progress
from securefl.federation.records import RoundRecord, RunSummary
from securefl.federation.strategy import SubmodelAvg
from securefl.federation.summary import summarize
from securefl.models import DIN, Weights
from securefl.store import SqliteDisclosures
from securefl.submodel import SubmodelServer


@dataclass(frozen=True, eq=False)
class Trained:
    """What a run leaves behind: the shared weights, and every user's private embedding, float32 (users, d)."""

    model: DIN
    weights: Weights
    embeddings: NDArray[np.float32]


def run(
    config: Config,
    log: ClickLog,
    progress: Progress,
    *,
    processes: int = 1,
    keep: Callable[[Trained], None] | None = None,
    disclosures: SqliteDisclosures | None = None,
) -> RunSummary:
    """Train for `config.cohort.rounds` rounds, client work spread over `processes`; `keep` gets what was trained.

    `disclosures`: where each round leaves what it released, for an audit of the run.
    Raises `ConfigurationError` before anything starts. The result does not depend on `processes`.
    """
    validate(config)
    check_population(config, log.users)
    simulation = Simulation(config, log)
    with simulation.fleet(processes) as fleet:
        summary = simulation.run(fleet, progress, disclosures)
    if keep is not None:
        keep(simulation.trained())
    return summary


Record = Callable[[SimulatedRound, Mapping[bytes, str]], None]
"""What is told of a played round, and of who its clients are."""


def _nowhere(_played: SimulatedRound, _users: Mapping[bytes, str]) -> None:
    """Nobody keeps a ledger."""


class Simulation:
    """The server's side of a run: the model, and what each round agrees on."""

    def __init__(self, config: Config, log: ClickLog) -> None:
        self._config, self._log, self._random = config, log, Randomness(config.cohort.seed)
        self._model = click_model(config.training, log.category, log.categories)
        weights = self._model.init(self._random.integer("model"))
        self._dense, self._tables = weights.dense, weights.tables
        self._maps = {"categories": log.category}
        expected = expected_union(config, log, self._random.generator("expected union"))
        union = union_plan(config, self._model.tables[0], expected)
        self._plan = round_plan(config, self._model, self._maps, union)
        self._params = round_params(config, self._plan)
        self._strategy = SubmodelAvg(self._plan.row_quantization, self._plan.dense_quantization)
        self._evaluation = Evaluation(self._model, log, self._random.generator("evaluation"))
        self._embeddings = np.tile(self._model.init_user(), (log.users, 1))

    def fleet(self, processes: int) -> AbstractContextManager[Fleet]:
        """The phones of the run."""
        training, weigh = self._config.training, self._strategy.weigh
        world = World(self._log, self._model, self._plan, self._maps, training, self._random, weigh)
        return ProcessFleet(world, processes) if processes > 1 else nullcontext(LocalFleet(world))

    def run(self, fleet: Fleet, progress: Progress, disclosures: SqliteDisclosures | None = None) -> RunSummary:
        """All rounds, and their summary."""
        record = _nowhere if disclosures is None else self._recorder(disclosures)
        auc_start, records, rounds = self._auc(), list[RoundRecord](), self._config.cohort.rounds
        for number in range(1, rounds + 1):
            progress.round_started(number, rounds)
            records.append(self._round(number, fleet, progress, record))
            progress.round_finished(records[-1])
        return summarize(
            records,
            auc_start=auc_start,
            full_model_bytes=full_model_bytes(self._params, self._model, self._plan.ring_bits),
            epsilon_ever=float(self._plan.two_stage.epsilon_ever()),
            private=self._random.private,
            data=_describe(self._log),
            settings=self._config.settings(),
        )

    def trained(self) -> Trained:
        """The model as it is now."""
        return Trained(self._model, Weights(self._dense, self._tables), self._embeddings)

    def _recorder(self, disclosures: SqliteDisclosures) -> Record:
        """Keeps rounds as a new run. The phones' memos are as old as the run: their name is its own."""
        number = disclosures.begin(msgspec.to_builtins(self._config), private=self._random.private)
        memo = secrets.token_hex(8)
        return lambda played, users: disclosures.append(number, played.disclosure(users, memo, self._maps))

    def _round(self, number: int, fleet: Fleet, progress: Progress, record: Record) -> RoundRecord:
        generator = self._random.generator("cohort", number)
        cohort = generator.choice(self._log.users, self._config.cohort.clients, replace=False)
        names = fleet.begin(number, sorted(cohort.tolist()))
        registry = frozenset(names.values())
        fleet.admit(registry)
        model, tested = (self._dense, self._tables), progress.decoding
        server = SubmodelServer(self._params, self._plan, *model, registry, maps=self._maps, on_tested=tested)
        losses = Losses(names.values(), self._config.cohort.dropout, generator, malicious=self._params.malicious)
        played = SimulatedRound(number, self._plan, server, fleet, losses, progress)
        opened = played.play()
        record(played, {name: str(user) for user, name in names.items()})
        if opened is not None:
            self._dense = self._strategy.apply(self._dense, self._tables, opened)
        for user, embedding in fleet.embeddings().items():
            self._embeddings[user] = embedding
        return played.record(self._auc())

    def _auc(self) -> float | None:
        return self._evaluation.auc(self._dense, self._tables, self._embeddings)


def _describe(log: ClickLog) -> dict[str, int | float | str]:
    sizes = {"users": log.users, "items": log.items, "categories": log.categories, "samples": len(log)}
    return {"name": log.name, **sizes, "sampled_negatives": int(log.sampled_negatives)}
