"""The local engine: every phone and the server in this process, every message through the codec.

What it measures is what the parties would send and compute. What it adds is the view no party has: the same sums in
clear, to say whether the secure ones are exactly equal.
"""

from __future__ import annotations

from functools import partial

import numpy as np

import dp
from securefl.config import Config, check_population, validate
from securefl.crypto import Identity
from securefl.datasets import ClickLog
from securefl.engine.losses import Losses
from securefl.engine.phone import Phone, Train, train_on
from securefl.engine.randomness import Randomness, Tape
from securefl.engine.round import SimulatedRound
from securefl.federation.evaluation import Evaluation
from securefl.federation.planning import expected_union, full_model_bytes, round_params, round_plan
from securefl.federation.progress import Progress
from securefl.federation.records import RoundRecord, RunSummary
from securefl.federation.strategy import SubmodelAvg
from securefl.federation.summary import summarize
from securefl.models import DIN
from securefl.submodel import SubmodelClient, SubmodelServer


def run(config: Config, log: ClickLog, progress: Progress) -> RunSummary:
    """Train for `config.cohort.rounds` rounds. Raises `ConfigurationError` before anything starts."""
    validate(config)
    check_population(config, log.users)
    return Simulation(config, log).run(progress)


class Simulation:
    """The world of one run: the server's model, and every user's data, identity, memo and private embedding."""

    def __init__(self, config: Config, log: ClickLog) -> None:
        self._config, self._log = config, log
        self._random = Randomness(config.cohort.seed)
        self._model = DIN(log.category, log.categories, config.training.dim)
        self._weights = self._model.init(self._random.integer("model"))
        self._dense, self._tables = self._weights.dense, self._weights.tables
        self._maps = {"categories": log.category}
        expected = expected_union(config, log, self._random.generator("expected union"))
        self._plan = round_plan(config, self._model, self._maps, expected)
        self._params = round_params(config, self._plan)
        self._strategy = SubmodelAvg(self._plan.row_quantization, self._plan.dense_quantization)
        self._evaluation = Evaluation(self._model, log)
        self._identities: dict[int, Identity] = {}
        self._memos: dict[int, dp.InMemoryMemo] = {}
        self._embeddings = np.tile(self._model.init_user(), (log.users, 1))

    def run(self, progress: Progress) -> RunSummary:
        """All rounds, and their summary."""
        auc_start, records, rounds = self._auc(), list[RoundRecord](), self._config.cohort.rounds
        for number in range(1, rounds + 1):
            progress.round_started(number, rounds)
            records.append(self._round(number, progress))
            progress.round_finished(records[-1])
        return summarize(
            records,
            auc_start=auc_start,
            full_model_bytes=full_model_bytes(self._params, self._model, self._plan.ring_bits),
            epsilon_ever=self._plan.two_stage.epsilon_ever(),
            private=self._random.private,
            data=_describe(self._log),
            settings=self._config.settings(),
        )

    def _round(self, number: int, progress: Progress) -> RoundRecord:
        generator = self._random.generator("cohort", number)
        cohort = generator.choice(self._log.users, self._config.cohort.clients, replace=False).tolist()
        users = {self._identity(user).public: user for user in sorted(cohort)}
        server = SubmodelServer(self._params, self._plan, self._dense, self._tables, frozenset(users), maps=self._maps)
        phones = dict[bytes, Phone]()
        losses = Losses(users, self._config.cohort.dropout, generator)
        played = SimulatedRound(number, self._plan, server, phones, losses, progress)
        phones |= {name: self._phone(number, user, frozenset(users), played) for name, user in users.items()}
        opened = played.play()
        if opened is not None:
            self._dense = self._strategy.apply(self._dense, self._tables, opened)
        for name, phone in phones.items():
            if phone.embedding is not None:
                self._embeddings[users[name]] = phone.embedding
        return played.record(self._auc())

    def _phone(self, number: int, user: int, registry: frozenset[bytes], played: SimulatedRound) -> Phone:
        tape, held = Tape(self._random.stream("claims", number, user)), self._log.index_set(user)
        memo = self._memos.setdefault(user, dp.InMemoryMemo())
        client = SubmodelClient(self._identity(user), registry, held, memo, maps=self._maps, rng=tape)
        return Phone(client, held, tape, self._trainer(number, user), played.trained)

    def _trainer(self, number: int, user: int) -> Train:
        training = self._config.training
        return partial(
            train_on,
            samples=self._log.train(user),
            embedding=self._embeddings[user],
            model=self._model,
            plan=self._plan,
            settings=training,
            learning_rate=training.learning_rate * training.decay ** (number - 1),
            seed=self._random.integer("training", number, user),
            rng=self._random.stream("rounding", number, user),
        )

    def _identity(self, user: int) -> Identity:
        return self._identities.setdefault(user, Identity.generate())

    def _auc(self) -> float | None:
        return self._evaluation.auc(self._dense, self._tables, self._embeddings)


def _describe(log: ClickLog) -> dict[str, int | float | str]:
    sizes = {"users": log.users, "items": log.items, "categories": log.categories, "samples": len(log)}
    return {"name": log.name, **sizes, "sampled_negatives": int(log.sampled_negatives)}
