"""Secure submodel rounds over Flower's Message API, with durable clients, against the same sums in clear."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("flwr", reason="needs flwr: not an importable package")

import rounds as clear
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp
from grid import FakeGrid, error_reply, make_grid

from securefl.engine.flower import FOLDER, Global, Part, SecureClient, SecureRound, Terms, client, secure_round
from securefl.engine.flower.sleep import SESSION
from securefl.errors import TooFewSurvivorsError
from securefl.secagg import Limits
from securefl.store import NodeStore, SqliteMemo, write_registry
from securefl.submodel import Downloaded, QuantizedUpdate

FIVE = clear.FIVE
STEPS = ["RoundInvitation", "Roster", "Delivery", "Survivors", "UnionAnnounced", "Submodel", "Survivors"]
MODEL = Global(clear.DENSE_LAYERS, clear.TABLES, clear.MAPS)
TERMS = Terms(deadline=0.5, patience=2.0)


class World:
    """Five nodes whose updates are remembered, so that their sum is known."""

    def __init__(self, folder: Path | None = None, fault: Any = lambda *_: None, **settings: Any) -> None:
        self.updates: dict[int, QuantizedUpdate] = {}
        self.requests: list[float] = []
        self.folder = folder
        apps = [self.app(number, **settings) for number in FIVE]
        if folder is None:
            self.grid: FakeGrid = make_grid(apps, fault=fault)
            return
        keys = [NodeStore.create(folder / str(number)) for number in FIVE]
        for number in FIVE:
            write_registry(folder / str(number) / "registry.txt", keys)
        config = lambda i: {FOLDER: str(folder / str(i))}  # noqa: E731
        self.grid = make_grid(apps, fault=fault, node_config=config, run_config={})

    def app(self, number: int, **settings: Any) -> ClientApp:
        def train(download: Downloaded, request: RecordDict) -> QuantizedUpdate:
            self.requests.append(request["settings"]["rate"])
            self.updates[number] = clear.train(number, FIVE[number], download)
            return self.updates[number]

        def part(_request: RecordDict, _context: Context) -> Part:
            return Part(clear.indices(FIVE[number]), train, clear.MAPS)

        made = ClientApp()
        SecureClient(rounds=part, **settings).register(made)
        return made

    def play(
        self, plan: Any = clear.PLAN, setting: Any = "semi_honest", nodes: Any = None, **others: Any
    ) -> SecureRound:
        self.grid.sent.clear()
        request = RecordDict({"settings": ConfigRecord({"rate": 0.5})})
        params = clear.agree(plan, 5, 3, setting=setting)
        return secure_round(
            self.grid, nodes or self.grid.nodes, params, plan, MODEL, request=request, terms=TERMS, **others
        )

    def is_exact(self, result: SecureRound) -> bool:
        """Whether dense sums and row sums are those of exactly the survivors (a plan with everything claimed)."""
        inside = [node - 100 for node in result.survivors]
        sums = result.sums
        assert sums is not None
        dense = sum(self.updates[number].dense for number in inside)
        for name, table in sums.tables.items():
            total = np.zeros((len(clear.TABLES[name]), table.sums.shape[1] + 1), np.int64)
            for number in inside:
                rows, values = self.updates[number].tables[name]
                total[rows] += values
            if not (np.column_stack([table.sums, table.counts]) == total[table.indices]).all():
                return False
        return bool((np.append(sums.dense, sums.dense_count) == dense).all())


def lose(number: int, step: str, nth: int = 0, how: Any = "lost") -> Any:
    seen: list[str] = []

    def fault(node: int, name: str, _message: Message) -> Any:
        if node - 100 != number or name != step:
            return None
        seen.append(name)
        return how if len(seen) == nth + 1 else None

    return fault


@pytest.mark.parametrize("durable", [False, True], ids=["simulated", "durable"])
@pytest.mark.parametrize("setting", ["semi_honest", "malicious"])
def test_a_round_is_exact_in_few_messages(durable: bool, setting: Any, tmp_path: Path) -> None:
    world = World(tmp_path if durable else None)
    result = world.play(setting=setting)
    assert result.survivors == {101, 102, 103, 104, 105}
    assert world.is_exact(result)
    assert world.requests == [0.5] * 5
    mine = [step for node, step in world.grid.sent if node == 101]
    assert mine[0] == "Enrolment"
    assert [step for step in mine[1:] if step != "Consistency"] == STEPS
    assert not any(SESSION.encode() in node.state for node in world.grid.nodes.values())


@pytest.mark.parametrize(("step", "nth"), [(step, STEPS[:at].count(step)) for at, step in enumerate(STEPS)])
@pytest.mark.parametrize("how", ["lost", error_reply], ids=["lost", "error"])
def test_e1_a_loss_at_any_step_leaves_the_round_exact(step: str, nth: int, how: Any) -> None:
    world = World(fault=lose(2, step, nth, how))
    result = world.play()
    assert world.is_exact(result)
    answered = step == "Survivors" and nth == 1
    assert result.survivors == ({101, 102, 103, 104, 105} if answered else {101, 103, 104, 105})
    world.grid.fault = lambda *_: None
    again = world.play()
    assert len(again.survivors) == 5, "a node that comes back joins the next round"
    assert world.is_exact(again)


def test_a_round_that_cannot_finish_says_so() -> None:
    world = World(fault=lambda node, step, _: "lost" if step == "Submodel" and node > 103 else None)
    result = world.play()
    assert result.sums is None
    assert isinstance(result.failure, TooFewSurvivorsError)
    assert result.survivors == frozenset()
    assert result.lost.keys() == {101, 102, 103, 104, 105}
    assert not any(SESSION.encode() in node.state for node in world.grid.nodes.values())


def dies_answering(world: World, number: int, message: Message) -> None:
    """The node's process is killed when its answer is made and has not left; what its folder holds is all there is."""
    if not (pid := os.fork()):
        client.answer = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[assignment]
        world.grid.nodes[number].handle(message)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def known_answers(folder: Path) -> dict[int, int]:
    """The permanent answers in a node's folder."""
    with SqliteMemo(folder / "memo.sqlite", "self") as memo:
        answers = memo.recall(np.arange(clear.ITEMS))
    return {index: answer for index, answer in enumerate(answers.tolist()) if answer >= 0}


def test_d6_a_restarted_node_neither_answers_twice_nor_draws_anew(tmp_path: Path) -> None:
    plan = clear.make_plan(response=clear.SEVEN_EIGHTHS)
    world = World(tmp_path)
    answers = {}
    replayed: list[Message] = []

    def watch(node: int, step: str, message: Message) -> Any:
        if (node, step) == (103, "Survivors"):
            replayed.append(message)
        return None

    world.grid.fault = watch
    for _ in range(3):
        result = world.play(plan)
        assert world.is_exact(result)
        now = known_answers(tmp_path / "3")
        assert {index: now[index] for index in answers} == answers
        answers = now
        for node in world.grid.nodes.values():
            node.restart()
        reply = world.grid.nodes[103].handle(replayed[-1])
        assert reply.has_error()
        assert "not in" in reply.error.reason
    assert answers


def test_a3_memory_restored_from_before_an_answer_is_refused(tmp_path: Path) -> None:
    world, before, asked = World(tmp_path), [], []

    def watch(node: int, step: str, message: Message) -> Any:
        if (node, step) == (103, "Survivors"):
            before.append(world.grid.nodes[node].state)
            asked.append(message)
        return None

    world.grid.fault = watch
    world.play()
    node = world.grid.nodes[103]
    node.state = before[0]  # a snapshot of the node's memory, taken before it answered
    reply = node.handle(asked[0])
    assert reply.has_error()
    assert "resumed before" in reply.error.reason


@pytest.mark.parametrize("step", ["RoundInvitation", "Survivors"])
def test_d6_a_killed_process_answers_a_message_never_again(step: str, tmp_path: Path) -> None:
    """Nor with the memory it had before: another answer, to a list of other survivors, would open what it masked."""
    plan, reasons = clear.make_plan(response=clear.SEVEN_EIGHTHS), list[str]()
    world = World(tmp_path)

    def kills(node: int, name: str, message: Message) -> Any:
        if (node, name) == (103, step) and not reasons:
            dies_answering(world, node, message)
            reply = world.grid.nodes[node].handle(message)
            reasons.append(reply.error.reason if reply.has_error() else "")
            return error_reply
        return None

    world.grid.fault = kills
    result = world.play(plan)
    assert ("used before" if step == "RoundInvitation" else "resumed before") in reasons[0]
    assert world.is_exact(result)
    assert len(world.play(plan).survivors) == 5


def test_d6_a_killed_process_draws_no_answer_anew(tmp_path: Path) -> None:
    plan, before = clear.make_plan(response=clear.SEVEN_EIGHTHS), list[dict[int, int]]()
    world = World(tmp_path)

    def kills(node: int, name: str, message: Message) -> Any:
        if (node, name) == (103, "UnionAnnounced") and not before:
            dies_answering(world, node, message)
            before.append(known_answers(tmp_path / "3"))
            return "lost"
        return None

    world.grid.fault = kills
    assert world.play(plan).survivors == {101, 102, 104, 105}
    assert before[0], "drawn, and on disk, before its claim left"
    for _ in range(3):
        assert len(world.play(plan).survivors) == 5
        now = known_answers(tmp_path / "3")
        assert {index: now[index] for index in before[0]} == before[0]


def test_a_late_message_of_another_session_disturbs_nothing() -> None:
    world, old = World(), list[Message]()

    def fault(node: int, step: str, message: Message) -> Any:
        if (node, step) == (103, "Roster"):
            old.append(message)
        elif (node, step) == (103, "Delivery") and len(old) == 2:
            reply = world.grid.nodes[103].handle(old[0])  # the first round's, in the middle of the second
            assert "not in" in reply.error.reason
        return None

    world.grid.fault = fault
    for _ in range(2):
        result = world.play()
        assert len(result.survivors) == 5
        assert world.is_exact(result)


def refused(world: World, number: int, sentence: str, **others: Any) -> bool:
    """Whether this node was left out, for this reason, and the round was exact without it."""
    result = world.play(**others)
    inside = {100 + other for other in FIVE if other != number}
    return result.survivors == inside and sentence in result.lost[100 + number] and world.is_exact(result)


def test_a12_a_node_with_other_limits_is_dropped() -> None:
    world = World()
    world.grid.nodes[102].app = world.app(2, limits=Limits(min_clients=50))
    assert refused(world, 2, "FaultyServerError: the session's parameters are refused: clients must be 50")


def test_a_node_with_another_model_is_dropped() -> None:
    world = World()
    made = ClientApp()
    other_map = {"categories": clear.CATEGORY_OF[::-1].copy()}
    SecureClient(rounds=lambda *_: Part(clear.indices([0]), lambda *_: None, other_map)).register(made)
    world.grid.nodes[102].app = made
    assert refused(world, 2, "names a public map that this client does not have")


def test_a_node_whose_data_does_not_fit_the_model_is_dropped() -> None:
    world = World()
    made = ClientApp()
    SecureClient(rounds=lambda *_: Part(clear.indices([99]), lambda *_: None, clear.MAPS)).register(made)
    world.grid.nodes[102].app = made
    assert refused(world, 2, "indices must be below the first table's 12 rows")


def test_a_node_without_a_part_is_dropped() -> None:
    world = World()
    made = ClientApp()
    SecureClient().register(made)
    world.grid.nodes[102].app = made
    assert refused(world, 2, "takes no part in submodel rounds")


def test_a_training_that_fails_is_dropped() -> None:
    world = World()
    made = ClientApp()

    def fails(*_: Any) -> Any:
        raise ZeroDivisionError("secret data in a text")

    SecureClient(rounds=lambda *_: Part(clear.indices([0]), fails, clear.MAPS)).register(made)
    world.grid.nodes[102].app = made
    assert refused(world, 2, "Flower's error 2")


def test_a8_an_unregistered_identity_is_refused_by_clients_and_by_the_server(tmp_path: Path) -> None:
    world = World(tmp_path)
    stranger = NodeStore.create(tmp_path / "stranger")
    everybody = [NodeStore(tmp_path / str(number)).identity.public for number in FIVE]
    write_registry(tmp_path / "stranger" / "registry.txt", [*everybody[:4], stranger])
    world.grid.nodes[105].node_config[FOLDER] = str(tmp_path / "stranger")
    result = world.play()
    assert result.sums is None, "the others do not deal to an identity that is not registered with them"
    assert all("not registered" in result.lost[node] or node == 105 for node in result.lost), result.lost
    global TERMS
    registry = b"".join(sorted([*everybody[:4], stranger]))

    def lies(node: int, step: str, message: Message) -> None:
        if step == "RoundInvitation":
            message.content["securefl"]["registry"] = registry

    world.grid.fault = lies
    result = world.play()
    assert result.sums is None, "a deployed node has its own registry, whatever the server says"
    world.grid.fault = lambda *_: None
    before, TERMS = TERMS, Terms(deadline=0.5, registry=frozenset(everybody))
    try:
        assert refused(world, 5, "an identity that is not registered")
    finally:
        TERMS = before
