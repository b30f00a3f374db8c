"""FedLaAvg over Flower's Message API with durable nodes: the local engine's model, whatever dies between its phases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("flwr", reason="needs flwr: not an importable package")

from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp
from grid import FakeGrid, error_reply, make_grid
from numpy.typing import NDArray

from securefl.engine.flower import FOLDER, LatestRound, SecureClient, Terms, latest_round
from securefl.engine.flower.sleep import SESSION
from securefl.engine.latest import LatestClients
from securefl.errors import TooFewSurvivorsError
from securefl.federation.latest import InMemoryUpdates, LatestPlan, RunningSum
from securefl.federation.randomness import Randomness
from securefl.secagg.quantize import Quantization
from securefl.store import NodeStore, write_registry

N, SIZE, RATE = 8, 5, 0.3
PLAN = LatestPlan(b"r" * 32, N, SIZE, 24, Quantization(12, 2.0, 1))
TERMS = Terms(threshold=3, kem="x25519", deadline=0.5, patience=2.0)
STEPS = ["LatestInvitation", "Roster", "Delivery", "Survivors"]
Deaths = Mapping[int, str]
"""By user, the server's message at which its node dies, or "after" and that: then it has done what it says."""
LOST = {
    "LatestInvitation": "AdvertiseKeys",
    "after LatestInvitation": "AdvertiseKeys",
    "Roster": "ShareKeys",
    "after Roster": "ShareKeys",
    "Delivery": "MaskedInput",
    "after Delivery": "MaskedInput",
    "Survivors": "Unmasking",
    "after Survivors": "Unmasking",
}
"""What of a client never arrives then, as the local engine calls it."""


class World:
    """Eight nodes, user u at node 101 + u, and the same run on the local engine."""

    def __init__(self, folder: Path | None) -> None:
        self.running = RunningSum(PLAN, np.zeros(SIZE, np.float32))
        self.local = LatestClients(
            RunningSum(PLAN, np.zeros(SIZE, np.float32)), [InMemoryUpdates() for _ in range(N)], Randomness(4)
        )
        self.updates: dict[int, NDArray[np.int64] | None] = {}
        self.models: list[NDArray[np.float32]] = []
        apps = [self.app(user) for user in range(N)]
        if folder is None:
            self.grid: FakeGrid = make_grid(apps)
            return
        keys = [NodeStore.create(folder / str(user)) for user in range(N)]
        for user in range(N):
            write_registry(folder / str(user) / "registry.txt", keys)
        self.grid = make_grid(apps, node_config=lambda i: {FOLDER: str(folder / str(i - 1))}, run_config={})

    def app(self, user: int) -> ClientApp:
        def latest(model: NDArray[np.float32], request: RecordDict, _context: Context) -> NDArray[np.int64] | None:
            assert request["round"]["number"] == self.running.rounds + 1
            self.models.append(model)
            return self.updates[user]

        made = ClientApp()
        SecureClient(latest=latest).register(made)
        return made

    def play(self, cohort: Sequence[int], deaths: Deaths | None = None, **others: Any) -> LatestRound:
        """A round over Flower."""
        self.grid.fault = self.fault(deaths or {})
        request = RecordDict({"round": ConfigRecord({"number": self.running.rounds + 1})})
        nodes, terms = [101 + user for user in cohort], others.get("terms", TERMS)
        return latest_round(self.grid, nodes, self.running, RATE, request=request, terms=terms)

    def both(self, number: int, cohort: Sequence[int], updates: Any, deaths: Deaths | None = None) -> LatestRound:
        """The same round on both engines, which end in the same sum and model to the last bit."""
        deaths = deaths or {}
        self.updates = {
            user: self.local.quantized(number, user, one) for user, one in zip(cohort, updates, strict=True)
        }
        result = self.play(cohort, deaths)
        params = PLAN.params(clients=len(cohort), threshold=3, colluders=0, kem="x25519")
        lost = {user: LOST[at] for user, at in deaths.items()}
        counted = self.local.round(number, cohort, updates, params, RATE, lost=lost)
        assert counted == bool(result.survivors)
        assert self.running.total.tolist() == self.local.running.total.tolist()
        assert self.running.model.tobytes() == self.local.running.model.tobytes()
        return result

    def fault(self, deaths: Deaths) -> Any:
        def happens(node: int, step: str, _message: Message) -> Any:
            def dies(reply: Message) -> Message:
                self.grid.nodes[node].restart()
                return error_reply(reply)

            at = deaths.get(node - 101)
            if at == step:
                self.grid.nodes[node].restart()
                return "lost"
            return dies if at == f"after {step}" else None

        return happens


@pytest.mark.parametrize("durable", [False, True], ids=["simulated", "durable"])
def test_nodes_that_come_and_go_train_the_local_engines_model(durable: bool, tmp_path: Path) -> None:
    world, draw = World(tmp_path if durable else None), np.random.default_rng(5)
    deaths = list(LOST) if durable else []  # what a simulated node knows dies with it
    latest = np.zeros((N, SIZE), np.int64)
    for number in range(1, 9):
        cohort = sorted(draw.choice(N, 5, replace=False).tolist())
        updates = draw.normal(size=(5, SIZE)).astype(np.float32)
        at = deaths[number % len(deaths)] if deaths else ""
        result = world.both(number, cohort, updates, {cohort[number % 5]: at} if at else {})
        inside = {user for user in cohort if 101 + user in result.survivors}
        gone = {cohort[number % 5]} if at and not at.endswith("Survivors") else set()
        assert inside == set(cohort) - gone
        for user in inside:
            latest[user] = world.updates[user]
        assert world.running.total.tolist() == latest.sum(axis=0).tolist()
        world.running = RunningSum.from_bytes(PLAN, world.running.to_bytes())  # the server restarts as well
    assert not any(SESSION.encode() in node.state for node in world.grid.nodes.values())


@pytest.mark.slow
@pytest.mark.parametrize("at", LOST)
def test_a_node_that_dies_between_the_phases_agrees_with_the_server_again(at: str, tmp_path: Path) -> None:
    """The same node dies in one round, and is asked in the next: nothing of it is in the sum twice, or missing."""
    world, draw, cohort = World(tmp_path), np.random.default_rng(2), [0, 2, 3, 5, 7]
    for number, deaths in enumerate(({}, {3: at}, {3: at}, {}), 1):
        world.both(number, cohort, draw.normal(size=(5, SIZE)).astype(np.float32), deaths)
    assert world.running.total.tolist() == sum(map(np.array, world.updates.values())).tolist()


def test_a_round_that_the_server_forgot_never_happened(tmp_path: Path) -> None:
    world, draw, cohort = World(tmp_path), np.random.default_rng(3), [0, 1, 2, 3, 4]
    world.both(1, cohort, draw.normal(size=(5, SIZE)).astype(np.float32))
    kept = world.running.to_bytes()
    world.updates = {user: np.full(SIZE, user) for user in cohort}
    assert len(world.play(cohort).survivors) == 5
    world.running = RunningSum.from_bytes(PLAN, kept)  # it dies between the opening of a sum and the write
    world.both(2, cohort, draw.normal(size=(5, SIZE)).astype(np.float32))


def test_too_few_change_nothing_and_settle_themselves(tmp_path: Path) -> None:
    world, cohort = World(tmp_path), [0, 1, 2, 3, 4]
    world.both(1, cohort, np.ones((5, SIZE), np.float32))
    before = world.running.to_bytes()
    world.updates = {user: np.full(SIZE, 9) for user in cohort}
    result = world.play(cohort, {0: "after Delivery", 1: "Delivery"})
    assert not result.survivors
    assert [type(error) for error in result.failures] == [TooFewSurvivorsError]
    assert result.lost.keys() == {101 + user for user in cohort}
    assert world.running.to_bytes() == before
    world.both(2, cohort, np.full((5, SIZE), 0.5, np.float32))


def test_shards_are_counted_together_and_floats_are_quantized() -> None:
    world, terms = World(None), Terms(threshold=2, kem="x25519", deadline=0.5, shard=4)
    world.updates = {user: np.full(SIZE, 2.0, np.float32) for user in range(N)}
    result = world.play(range(N), terms=terms)
    assert len(result.survivors) == N
    assert world.running.total.tolist() == [N * PLAN.quantization.levels] * SIZE
    assert np.allclose(world.running.model, -RATE * 2.0)
    assert len({model.tobytes() for model in world.models}) == 1


def test_a_node_that_leaves_takes_itself_out() -> None:
    world = World(None)
    world.updates = {user: np.full(SIZE, 1 + user) for user in range(N)}
    world.play(range(N))
    world.updates[2] = None
    world.play(range(N))
    assert world.running.total.tolist() == [sum(range(1, N + 1)) - 3] * SIZE


def refuses(world: World, cohort: Sequence[int], sentence: str) -> bool:
    """Whether user 2 is out for this reason, and the others are counted."""
    result = world.play(cohort)
    inside = {101 + user for user in cohort if user != 2}
    return result.survivors == inside and sentence in result.lost[103]


def test_a_lost_memory_is_named_and_never_made_anew(tmp_path: Path) -> None:
    world, cohort = World(tmp_path), [0, 1, 2, 3, 4]
    world.updates = {user: np.full(SIZE, 1) for user in cohort}
    world.play(cohort)
    kept = (tmp_path / "2" / "updates.sqlite").read_bytes()
    for part in (tmp_path / "2").glob("updates.sqlite*"):
        part.unlink()
    assert refuses(world, cohort, "updates.sqlite: the file is missing")
    assert not (tmp_path / "2" / "updates.sqlite").exists()
    (tmp_path / "2" / "updates.sqlite").write_bytes(kept)
    assert len(world.play(cohort).survivors) == 5, "restored in time, it goes on"


def test_a_memory_from_an_older_backup_is_refused(tmp_path: Path) -> None:
    world, cohort = World(tmp_path), [0, 1, 2, 3, 4]
    world.updates = {user: np.full(SIZE, 1) for user in cohort}
    path = tmp_path / "2" / "updates.sqlite"
    world.play(cohort)
    older = path.read_bytes()
    for _ in range(2):
        world.play(cohort)
    path.write_bytes(older)
    assert refuses(world, cohort, "the server counts an update that this client does not remember")


def test_a_node_without_a_part_or_with_another_model_is_dropped() -> None:
    world, cohort = World(None), [0, 1, 2, 3, 4]
    world.updates = {user: np.full(SIZE, 1) for user in cohort}
    made = ClientApp()
    SecureClient().register(made)
    world.grid.nodes[103].app = made
    assert refuses(world, cohort, "takes no part in rounds of FedLaAvg")
    world.grid.nodes[103].app = world.app(2)
    world.updates[2] = np.ones(SIZE + 1)
    assert refuses(world, cohort, "an update has the shape of the model")
