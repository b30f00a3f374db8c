"""The phones of a simulation: their data, identities, memos and private embeddings, which outlive a round."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from operator import add
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

import dp
from securefl.config import Training
from securefl.crypto import Identity
from securefl.datasets import ClickLog
from securefl.engine.clear import ClearUnion, ClearUpdate, RoundShapes, add_updates
from securefl.engine.exchange import InProcess, Reply
from securefl.engine.phone import Phone, PlainPhone, Shown, Train, train_on
from securefl.federation.randomness import Randomness, Rng, Tape
from securefl.federation.strategy import Weigh
from securefl.federation.training import Learned
from securefl.models import Model
from securefl.secagg import Params
from securefl.store import SqliteMemo
from securefl.submodel import QuantizedUpdate, SubmodelClient, SubmodelPlan, noised, to_client, to_server


@dataclass(frozen=True, slots=True)
class World:
    """What all phones of a run know: public, or theirs alone (each reads only its own part of `log`)."""

    log: ClickLog
    model: Model
    plan: SubmodelPlan
    maps: Mapping[str, NDArray[np.int64]]
    params: Params
    training: Training
    random: Randomness
    weigh: Weigh
    """The client's part of the strategy."""
    plain: bool = False
    """No masks: phones hand over what they would have masked."""
    memo: Path | None = None
    """A file that outlives the run's processes; None = memory, which a seed fills again."""


Kept = dict[str, NDArray[Any]]
"""What a phone keeps from round to round, by name."""


class Fleet(Protocol):
    """Phones, wherever they live. One round: `begin`, `admit`, any number of `deliver`, then the clear sums."""

    def begin(self, number: int, users: Sequence[int]) -> dict[int, bytes]:
        """The identity keys of a round's users."""

    def admit(self, registry: frozenset[bytes]) -> None:
        """Who is registered: now every user of the round has a client."""

    def deliver(self, frames: Mapping[bytes, bytes]) -> Iterator[Reply]:
        """See `exchange.Carrier`."""

    def claim(self, union: NDArray[np.int64], names: Collection[bytes]) -> dict[bytes, NDArray[np.int64]]:
        """Of plain phones: the indices of the union that each asks for."""

    def train(self, shown: Shown, names: Collection[bytes]) -> None:
        """Plain phones train on what they asked for."""

    def clear_union(self, names: Collection[bytes]) -> ClearUnion:
        """The clear inputs of some phones to the union, added up."""

    def clear_update(self, names: Collection[bytes], shapes: RoundShapes) -> ClearUpdate:
        """The clear inputs of some phones to the update, added up."""

    def save(self) -> dict[int, Kept]:
        """What the phones that took part since the last call keep, by user."""

    def restore(self, kept: Mapping[int, Kept]) -> None:
        """Give fresh phones what earlier ones kept."""

    def learned(self) -> Mapping[int, Learned]:
        """What is left on the devices of the round's users that trained: in no message, for the simulation's AUC."""


class LocalFleet:
    """Phones in this process."""

    def __init__(self, world: World) -> None:
        self._world, self._number = world, 0
        self._identities: dict[int, Identity] = {}
        self._memos: dict[int, dp.InMemoryMemo] = {}
        self._answers = None if world.memo is None else SqliteMemo(world.memo, "")
        self._changed = set[int]()
        self._embeddings: dict[int, NDArray[np.float32]] = {}
        self._users: dict[bytes, int] = {}
        self._phones: dict[bytes, Phone] = {}
        self._plain: dict[bytes, PlainPhone] = {}

    def begin(self, number: int, users: Sequence[int]) -> dict[int, bytes]:
        """See `Fleet`."""
        self._number = number
        self._changed.update(users)
        self._users = {self._identities.setdefault(u, Identity.generate()).public: u for u in users}
        return {user: name for name, user in self._users.items()}

    def admit(self, registry: frozenset[bytes]) -> None:
        """See `Fleet`."""
        if self._world.plain:
            self._plain = {name: self._plain_phone(user) for name, user in self._users.items()}
        else:
            self._phones = {name: self._phone(user, registry) for name, user in self._users.items()}

    def deliver(self, frames: Mapping[bytes, bytes]) -> Iterator[Reply]:
        """See `Fleet`."""
        return InProcess(self._phones, to_client, to_server).deliver(frames)

    def claim(self, union: NDArray[np.int64], names: Collection[bytes]) -> dict[bytes, NDArray[np.int64]]:
        """See `Fleet`."""
        return {name: self._plain[name].claim(union) for name in names}

    def train(self, shown: Shown, names: Collection[bytes]) -> None:
        """See `Fleet`."""
        for name in names:
            self._plain[name].train(shown)

    def clear_union(self, names: Collection[bytes]) -> ClearUnion:
        """See `Fleet`."""
        plan = self._world.plan.union_plan
        nothing = ClearUnion(np.zeros(plan.cells, np.uint64), np.zeros(0, np.int64))
        phones = (self._device(name) for name in names)
        return reduce(add, (ClearUnion(p.clear_cells(plan).astype(np.uint64), p.index_set) for p in phones), nothing)

    def clear_update(self, names: Collection[bytes], shapes: RoundShapes) -> ClearUpdate:
        """See `Fleet`."""
        updates = (self._device(name).update for name in names)
        return add_updates((u for u in updates if u is not None), shapes)

    def learned(self) -> Mapping[int, Learned]:
        """See `Fleet`."""
        devices: Mapping[bytes, Phone | PlainPhone] = self._plain if self._world.plain else self._phones
        learned = {self._users[name]: p.learned for name, p in devices.items() if p.learned is not None}
        self._embeddings |= {user: one.embedding for user, one in learned.items()}
        return learned

    def _device(self, name: bytes) -> Phone | PlainPhone:
        return self._plain[name] if self._world.plain else self._phones[name]

    def _phone(self, user: int, registry: frozenset[bytes]) -> Phone:
        world, tape = self._world, self._tape(user)
        held, memo = world.log.index_set(user), self._memo(user)
        noise = Tape(world.random.stream("noise", self._number, user))
        client = SubmodelClient(
            self._identities[user], registry, held, memo, maps=world.maps, rng=tape, noise_rng=noise
        )
        return Phone(client, held, tape, self._trainer(user), partial(self._noised, noise.replay()))

    def _plain_phone(self, user: int) -> PlainPhone:
        world, held = self._world, self._world.log.index_set(user)
        noise = partial(self._noised, world.random.stream("noise", self._number, user))
        return PlainPhone(world.plan, world.maps, held, self._memo(user), self._tape(user), self._trainer(user), noise)

    def _noised(self, rng: Rng, update: QuantizedUpdate, claimed: Mapping[str, NDArray[np.int64]]) -> QuantizedUpdate:
        """What a phone masks of an update, or would."""
        world = self._world
        return update if world.plan.noise is None else noised(world.plan, world.params, update, claimed, rng)

    def _tape(self, user: int) -> Tape:
        return Tape(self._world.random.stream("claims", self._number, user))

    def _memo(self, user: int) -> dp.Memo:
        if self._answers is not None:
            return self._answers.of(str(user))
        return self._memos.setdefault(user, dp.InMemoryMemo())

    def save(self) -> dict[int, Kept]:
        """See `Fleet`. Identity keys are never kept: a resumed run draws new ones."""
        changed, self._changed = self._changed, set()
        return {user: self._kept(user) for user in sorted(changed)}

    def restore(self, kept: Mapping[int, Kept]) -> None:
        """See `Fleet`."""
        for user, own in kept.items():
            if "embedding" in own:
                self._embeddings[user] = own["embedding"]
            if "asked" in own:
                self._memos[user] = dp.InMemoryMemo()
                self._memos[user].remember(np.cumsum(own["asked"]), own["answers"])

    def close(self) -> None:
        """Close the file of permanent answers, if there is one."""
        if self._answers is not None:
            self._answers.close()

    def _kept(self, user: int) -> Kept:
        kept: Kept = {}
        if user in self._embeddings:
            kept["embedding"] = self._embeddings[user]
        if user in self._memos:
            indices, kept["answers"] = self._memos[user].known()
            kept["asked"] = np.diff(indices, prepend=0)  # steps: they compress well
        return kept

    def _trainer(self, user: int) -> Train:
        world, training = self._world, self._world.training
        return partial(
            train_on,
            samples=world.log.train(user),
            embedding=self._embeddings.get(user, world.model.init_user()),
            model=world.model,
            plan=world.plan,
            weigh=world.weigh,
            settings=training,
            learning_rate=training.learning_rate * training.decay ** (self._number - 1),
            seed=world.random.integer("training", self._number, user),
            rng=world.random.stream("rounding", self._number, user),
        )
