"""Federated and central training of DIN on a click log in clear, whole cohorts in a few computations.

The rounds are the library's, without masks: cohorts, claims, blinding, shuffles and rounding come from the same streams
of a seed as in a secure run, updates become the same integers, and a `RowStrategy` gets their sums.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import dp
import psu
from securefl.config import Config
from securefl.datasets import ClickLog, load_click_log
from securefl.federation.evaluation import Evaluation
from securefl.federation.planning import click_model, expected_union, round_plan, union_plan
from securefl.federation.randomness import Randomness, Tape
from securefl.federation.strategy import RowStrategy, strategy_of
from securefl.models import ClientPart, LocalUpdate, TableSlice, Weights
from securefl.models.batches import LocalSamples, concatenate, localize, pad, trainable
from securefl.models.embedding import sum_by_position
from securefl.models.layers import cross_entropy
from securefl.models.network import forward, views
from securefl.submodel import RoundSums, RowSums, quantize
from securefl.submodel.rows import HALF_FLOAT, followed, to_wire

Indices = NDArray[np.int64]
Curve = dict[int, float]
"""round -> test AUC"""


def read_log(path: Path) -> ClickLog:
    """A click log; if its file knows genres, each distinct set of genres is a category."""
    log = load_click_log(path)
    with np.load(path) as arrays:
        if "genre_multi_hot" not in arrays:
            return log
        sets, category = np.unique(arrays["genre_multi_hot"][log.item_ids], axis=0, return_inverse=True)
    return replace(log, category=category.astype(np.int64), category_ids=np.arange(len(sets)))


def without_test(log: ClickLog) -> ClickLog:
    """The training samples alone, of which the latest of each user are in turn held out: to choose settings by."""
    kept = np.zeros(len(log), np.bool_)
    first = np.searchsorted(log.user, np.arange(log.users))
    for user, start in enumerate(first):
        kept[start : start + len(log.train(user))] = True
    return replace(log, name=f"{log.name} train", user=log.user[kept], item=log.item[kept], label=log.label[kept])


def shuffled(log: ClickLog) -> ClickLog:
    """The same log with each user's labels in another order: what is left to learn is how often each user clicks."""
    order = np.lexsort((np.random.default_rng(0).random(len(log)), log.user))
    return replace(log, name=f"{log.name} shuffled", label=log.label[order])


def settle() -> None:
    """Start this program again with one thread of matrix products, and with freed memory kept: pages cost most here."""
    wanted = {
        "OPENBLAS_NUM_THREADS": "1",
        "MALLOC_MMAP_THRESHOLD_": str(2**30),
        "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1),
        "MALLOC_TOP_PAD_": str(2**28),
    }
    if any(os.environ.get(name) != value for name, value in wanted.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | wanted)  # noqa: S606


class Central:
    """All samples in one place: a step on a random batch of anybody's, as many samples a round as a cohort has."""

    def __init__(self, config: Config, log: ClickLog) -> None:
        self._config, self._random = config, Randomness(config.cohort.seed)
        self._model = click_model(config.training, log.category, log.categories)
        self._weights = self._model.init(self._random.integer("model"))
        self._users = np.zeros((log.users, self._model.width), np.float32)
        self._evaluation = Evaluation(self._model, log, self._random.generator("evaluation"))
        self._samples, self._owners = pooled(log, self._model.history)
        self._a_round = len(self._samples) * config.cohort.clients // log.users
        self._category, self._train_categories = log.category, log.categories > 1

    def play(self, number: int) -> None:
        """One round."""
        draw, settings = self._random.generator("training", number), self._config.training
        rate = settings.learning_rate * settings.decay ** (number - 1)
        places = draw.permutation(len(self._samples))[: self._a_round]
        for first in range(0, len(places), settings.batch):
            self._step(places[first : first + settings.batch], rate)

    def auc(self) -> float:
        """On the test samples."""
        return self._evaluation.auc(self._weights.dense, self._weights.tables, self._users) or 0.5

    def _step(self, places: Indices, rate: float) -> None:
        batch, owners, width = pad(self._samples, places), self._owners[places], self._model.width
        items, categories = self._weights.tables["items"], self._weights.tables["categories"]

        def embed(at: Indices) -> NDArray[np.float32]:
            return np.concatenate([items[at], categories[self._category[at]]], axis=-1)

        history, layers = embed(batch.history) * batch.mask[:, :, None], views(self._weights.dense, width)
        logits, back = forward(layers, self._users[owners], embed(batch.targets), history, batch.mask)
        d_users, d_targets, d_history, d_dense = back(cross_entropy(logits, batch.labels)[1])
        positions = np.concatenate([batch.targets, batch.history[batch.mask]])
        used, d_rows = sum_by_position(positions, np.concatenate([d_targets, d_history[batch.mask]]))
        tables = [(items, used, d_rows[:, :width]), (self._users, *sum_by_position(owners, d_users))]
        if self._train_categories:
            tables.append((categories, *sum_by_position(self._category[used], d_rows[:, width:])))
        norm = np.sqrt(sum(float(np.vdot(d, d)) for d in (*d_dense.values(), *(d for _, _, d in tables))))
        rate *= self._model.gradient_norm / max(norm, self._model.gradient_norm)
        for name, layer in layers.items():
            layer -= np.float32(rate) * d_dense[name]
        for table, rows, d in tables:
            table[rows] -= np.float32(rate * self._model.embedding_rate) * d


def pooled(log: ClickLog, history: int) -> tuple[LocalSamples, Indices]:
    """Everybody's training samples over the whole table of items, and whose each is."""
    whole = TableSlice.whole(np.zeros((log.items, 1), np.float32))
    parts = [trainable(localize(log.train(user), whole, history)) for user in range(log.users)]
    owners = np.repeat(np.arange(log.users), [len(part) for part in parts])
    return concatenate([(part, 0) for part in parts]), owners


@dataclass(frozen=True)
class Client:
    """A client in one round: what it holds, where its randomness comes from, its cells of the union."""

    user: int
    held: Indices
    tape: Tape
    cells: NDArray[np.uint32]


class Federated:
    """Rounds of a strategy over claims."""

    def __init__(self, config: Config, log: ClickLog, strategy: str) -> None:
        self._config, self._log, self._random = config, log, Randomness(config.cohort.seed)
        self._model = click_model(config.training, log.category, log.categories)
        self._weights = self._model.init(self._random.integer("model"))
        self._maps = {"categories": log.category}
        expected = expected_union(config, log, self._random.generator("expected union"))
        self.plan = round_plan(config, self._model, self._maps, union_plan(config, self._model.tables[0], expected))
        self._strategy: RowStrategy = strategy_of(strategy, self.plan)
        self._evaluation = Evaluation(self._model, log, self._random.generator("evaluation"))
        self._users = np.tile(self._model.init_user(), (log.users, 1))
        self._memos: dict[int, dp.InMemoryMemo] = {}
        self.floor = config.row_floor

    def auc(self) -> float:
        """On the test samples, every user with its private embedding."""
        return self._evaluation.auc(self._weights.dense, self._weights.tables, self._users) or 0.5

    def play(self, number: int) -> None:
        """One round."""
        settings = self._config.training
        drawn = self._random.generator("cohort", number).choice(
            self._log.users, self._config.cohort.clients, replace=False
        )
        clients = [self._client(number, user) for user in np.sort(drawn).tolist()]
        union, claims = self._claims(clients)
        parts = [self._part(number, client, claimed) for client, claimed in zip(clients, claims, strict=True)]
        updates = self._model.train_cohort(
            from_wire(self._weights.dense),
            parts,
            epochs=settings.epochs,
            batch=settings.batch,
            learning_rate=settings.learning_rate * settings.decay ** (number - 1),
        )
        for client, update in zip(clients, updates, strict=True):
            self._users[client.user] = update.user_embedding
        sums = self._sum(number, clients, updates, union, claims)
        dense = self._strategy.apply(self._weights.dense, self._weights.tables, sums)
        self._weights = Weights(dense, self._weights.tables)

    def _client(self, number: int, user: int) -> Client:
        tape, held = Tape(self._random.stream("claims", number, user)), self._log.index_set(user)
        return Client(user, held, tape, psu.encode(self.plan.union_plan, held, tape))

    def _claims(self, clients: list[Client]) -> tuple[Indices, list[Indices]]:
        """The union, and what of it each client claims."""
        cells = np.sum([client.cells for client in clients], axis=0, dtype=np.uint64)
        union = psu.decode(self.plan.union_plan, cells)
        memos = [self._memos.setdefault(client.user, dp.InMemoryMemo()) for client in clients]
        return union, [
            union[dp.privatize(self.plan.two_stage, union, client.held, memo, client.tape)]
            for client, memo in zip(clients, memos, strict=True)
        ]

    def _part(self, number: int, client: Client, claimed: Indices) -> ClientPart:
        rows = {"items": claimed, "categories": followed(claimed, self._log.category)}
        tables = {name: TableSlice(at, from_wire(self._weights.tables[name][at])) for name, at in rows.items()}
        seed = self._random.integer("training", number, client.user)
        return ClientPart(tables, self._log.train(client.user), self._users[client.user], seed)

    def _sum(
        self, number: int, clients: list[Client], updates: list[LocalUpdate], union: Indices, claims: list[Indices]
    ) -> RoundSums:
        """The sums that a round would open: of integers, over the rows that enough clients claim."""
        plan, asked = self.plan, {"items": claims, "categories": [followed(c, self._log.category) for c in claims]}
        total = {t.name: np.zeros((t.rows, t.width + 1), np.int64) for t in plan.tables}
        dense = np.zeros(plan.dense + 1, np.int64)
        for client, update in zip(clients, updates, strict=True):
            rng, (whole, weights) = self._random.stream("rounding", number, client.user), self._strategy.weigh(update)
            dense += quantize(update.dense[None], np.array([whole]), plan.dense_quantization, rng)[0]
            for name, rows in update.rows.items():
                total[name][rows.indices] += quantize(rows.deltas, weights[name], plan.row_quantization, rng)
        opened, left_out = {}, 0
        for name, some in asked.items():
            rows, claimants = np.unique(np.concatenate(some), return_counts=True)
            up = rows[claimants >= self.floor]
            opened[name] = RowSums(up, total[name][up, :-1], total[name][up, -1])
            left_out += len(rows) - len(up)
        survivors = tuple(range(1, len(clients) + 1))
        return RoundSums(union, opened, dense[:-1], int(dense[-1]), left_out, survivors)


def from_wire(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """What is left of numbers after they were sent as 16-bit floats, in their shape."""
    return to_wire(values).view(HALF_FLOAT).astype(np.float32).reshape(values.shape)


class Kept:
    """Curves by name in one JSON file: an interrupted reproduction goes on with the runs that are missing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._curves: dict[str, dict[str, float]] = json.loads(path.read_text()) if path.exists() else {}

    def curve(self, name: str, run: Callable[[Callable[[str], None]], Curve]) -> Curve:
        """The kept curve, or the one that `run` makes now; it is given a way to tell how far it is."""
        if name not in self._curves:
            began = time.monotonic()
            made = run(lambda said: print(f"{time.monotonic() - began:6.0f} s  {name}  {said}", flush=True))
            self._curves[name] = {str(number): auc for number, auc in made.items()}
            fresh = self._path.with_suffix(".fresh")
            fresh.write_text(json.dumps(self._curves) + "\n")
            fresh.replace(self._path)
        return {int(number): auc for number, auc in self._curves[name].items()}


def curve(task: Central | Federated, rounds: int, every: int, tell: Callable[[str], None]) -> Curve:
    """Test AUC every few rounds, and after the last; before the first under 0."""
    found: Curve = {0: task.auc()}
    for number in range(1, rounds + 1):
        task.play(number)
        if number % every == 0 or number == rounds:
            found[number] = task.auc()
            tell(f"round {number} of {rounds}, AUC {found[number]:.4f}")
    return found
