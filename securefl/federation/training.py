"""The training loop: who is invited, what an engine makes of the round, what its sums do to the model, and how well.

The loop knows no messages and no processes. An engine carries a round out, in secret or in clear; whoever wants to
keep a run gets its state after every round, and a loop that is given that state goes on from there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Protocol

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from dp import MAX_ROUNDS
from securefl.federation.cohort import LongestOut, RandomCohort, Selection
from securefl.federation.evaluation import Evaluation
from securefl.federation.planning import full_model_bytes
from securefl.federation.progress import Progress
from securefl.federation.records import RoundRecord, RunSummary
from securefl.federation.setup import Setup
from securefl.federation.strategy import RowStrategy, strategy_of
from securefl.federation.summary import About, not_begun, summarize
from securefl.models import Weights
from securefl.submodel import RoundSums

__all__ = ["Engine", "Learned", "Played", "State", "Training"]


@dataclass(frozen=True, eq=False)
class Learned:
    """What training left on one client's device: in no message, known to the simulation alone."""

    embedding: NDArray[np.float32]
    """(d,)"""
    samples: int
    loss: float


@dataclass(frozen=True, eq=False)
class Played:
    """A round that an engine carried out."""

    record: RoundRecord
    opened: RoundSums | None
    """None if the round could not finish."""
    learned: Mapping[int, Learned]
    """By user, of all that trained, in the sums or not."""


class Engine(Protocol):
    """Carries rounds out: between simulated phones, in processes, over a network."""

    plain: bool
    """Whether the server reads every input."""

    def play(self, number: int, cohort: Sequence[int], weights: Weights, progress: Progress) -> Played:
        """Round `number`, 1-based, with the users of `cohort`, ascending. Changes no weights."""


@dataclass(eq=False)
class State:
    """How far a run has come: with what the clients keep, all that the next round depends on."""

    weights: Weights
    embeddings: NDArray[np.float32]
    """Private embeddings, (users, d): a view that only a simulation has."""
    last: NDArray[np.int64]
    """The round in which each client was last invited, as the selection counts, (users,)."""
    invited: NDArray[np.int64]
    """How often each client was invited, (users,)."""
    strategy: RowStrategy
    auc_start: float | None
    records: list[RoundRecord] = field(default_factory=list)


class Training:
    """A run over an engine: round after round from wherever its `state` is."""

    def __init__(self, setup: Setup) -> None:
        self._setup, log, random = setup, setup.log, setup.random
        self._evaluation = Evaluation(setup.model, log, random.generator("evaluation"))
        weights = setup.model.init(random.integer("model"))
        embeddings = np.tile(setup.model.init_user(), (log.users, 1))
        nobody = np.zeros(log.users, np.int64)
        rule = strategy_of(setup.config.training.strategy, setup.plan)
        self.state = State(weights, embeddings, nobody, nobody.copy(), rule, None)
        self.state.auc_start = self._auc()

    def run(self, engine: Engine, progress: Progress, after: Callable[[State], None] = lambda _: None) -> RunSummary:
        """All rounds that are still to come, and the summary of the whole run. `after` sees the state of each."""
        rounds = self._setup.config.cohort.rounds
        for number in range(len(self.state.records) + 1, rounds + 1):
            progress.round_started(number, rounds)
            record = self._round(number, engine, progress)
            self.state.records.append(record)
            progress.round_finished(record)
            after(self.state)
        return self.summary(plain=engine.plain)

    def summary(self, *, plain: bool = False) -> RunSummary:
        """Of the rounds so far; `plain`: they were carried out without masks."""
        return summarize(self.state.records, **self.about(plain=plain))

    def about(self, *, plain: bool) -> About:
        """What of a summary is known before the first round."""
        setup = self._setup
        return About(
            auc_start=self.state.auc_start,
            full_model_bytes=full_model_bytes(setup.params, setup.model, setup.plan.ring_bits),
            epsilon_ever=float(setup.plan.two_stage.epsilon_ever()),
            private=setup.random.private,
            plain=plain,
            data=setup.data,
            settings=setup.config.settings(),
        )

    def _round(self, number: int, engine: Engine, progress: Progress) -> RoundRecord:
        state, wanted, response = self.state, self._setup.config.cohort.clients, self._setup.plan.two_stage
        there = self._setup.available.available(number)
        if there.sum() < wanted:
            return self._judged(not_begun(number, wanted, int(there.sum()), response))
        cohort = self._selection(number).select(there, wanted)
        state.invited[cohort] += 1
        played = engine.play(number, cohort.tolist(), state.weights, progress)
        if played.opened is not None:
            weights = state.weights
            dense = state.strategy.apply(weights.dense, weights.tables, played.opened)
            state.weights = Weights(dense, weights.tables)
        for user, learned in played.learned.items():
            state.embeddings[user] = learned.embedding
        return self._judged(replace(played.record, loss=_mean_loss(played.learned.values())))

    def _selection(self, number: int) -> Selection:
        """A generator of its own for every round: nothing of it is left to remember."""
        generator = self._setup.random.generator("cohort", number)
        if self._setup.config.cohort.selection == "random":
            return RandomCohort(generator)
        return LongestOut(self.state.last.size, generator, self.state.last)

    def _judged(self, record: RoundRecord) -> RoundRecord:
        """With what only the whole run knows: the AUC, where it is due, and what claims have spent."""
        config, response = self._setup.config, self._setup.plan.two_stage
        due = record.round % config.run.evaluate_every == 0 or record.round == config.cohort.rounds
        claims = min(int(self.state.invited.max()), MAX_ROUNDS)
        spent = float(response.epsilon_rounds(claims)) if claims else 0.0
        return replace(
            record, auc=self._auc() if due else None, epsilon_claims_spent=spent, epsilon_sums_spent=self._sums_spent()
        )

    def _sums_spent(self) -> float | None:
        """As if each invitation had ended in an opened sum."""
        plan, invited = self._setup.plan, int(self.state.invited.max())
        if plan.noise is None:
            return None
        release = dataclasses.replace(plan.noise.release(plan.numbers), rounds=max(1, invited))
        return float(release.renyi(Fraction(str(self._setup.config.privacy.delta)))) if invited else 0.0

    def _auc(self) -> float | None:
        return self._evaluation.auc(self.state.weights.dense, self.state.weights.tables, self.state.embeddings)


def _mean_loss(learned: Collection[Learned]) -> float | None:
    """By samples; None if nobody had any."""
    samples = sum(one.samples for one in learned)
    return sum(one.loss * one.samples for one in learned) / samples if samples else None
