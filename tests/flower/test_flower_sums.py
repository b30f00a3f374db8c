"""Plain sums over Flower's Message API: exact, whatever gets lost, and never a hang."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

pytest.importorskip("flwr", reason="needs flwr: not an importable package")

from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp
from grid import FakeGrid, error_reply, make_grid

from securefl.engine.flower import ArraySpec, Quantization, SecureClient, Terms, Weighted, secure_aggregate
from securefl.engine.flower.arrays import Input
from securefl.engine.flower.sleep import SESSION
from securefl.errors import ConfigurationError, TooFewSurvivorsError, TransportError

N = 6
FAST = Terms(threshold=3, kem="x25519", deadline=0.5, patience=2.0)
SPECS = [ArraySpec("counts", (2, 3), 1000), ArraySpec("scores", (4,), 1 << 40)]


def counts(number: int) -> np.ndarray:
    return (np.arange(6).reshape(2, 3) - 2) * number


def scores(number: int) -> np.ndarray:
    return np.arange(4) * (1 << 34) * (-1) ** number * number


def inputs(request: RecordDict, context: Context) -> Mapping[str, Input]:
    number = context.node_id - 100
    return {"counts": counts(number), "scores": scores(number)}


def app(arrays: Any = inputs, **settings: Any) -> ClientApp:
    made = ClientApp()
    SecureClient(arrays=arrays, **settings).register(made)
    return made


def grid(fault: Any = lambda *_: None, **others: Any) -> FakeGrid:
    return make_grid([app() for _ in range(N)], fault=fault, **others)


def lose(losses: Mapping[int, str], how: Any = "lost") -> Any:
    """By node, the server's message that is never answered."""
    return lambda node, step, _: how if losses.get(node - 100) == step else None


def total(function: Any, numbers: Any) -> Any:
    return sum(function(number) for number in numbers)


def test_the_sum_is_exact_and_leaves_nothing_behind() -> None:
    nodes = grid()
    result = secure_aggregate(nodes, nodes.nodes, SPECS, terms=FAST)
    assert (result.arrays["counts"] == total(counts, range(1, N + 1))).all()
    assert (result.arrays["scores"] == total(scores, range(1, N + 1))).all()
    assert result.survivors == {"sum": frozenset(nodes.nodes)}
    assert not result.lost
    assert not result.failures
    assert [step for node, step in nodes.sent if node == 101] == [
        "Enrolment",
        "Invitation",
        "Roster",
        "Delivery",
        "Survivors",
    ]
    assert not any(SESSION.encode() in node.state for node in nodes.nodes.values())


@pytest.mark.parametrize("setting", ["semi_honest", "malicious"])
def test_several_sums_share_one_set_of_keys(setting: Any) -> None:
    nodes = grid(lose({2: "Survivors", 5: "Delivery"}))
    specs = [SPECS[0], ArraySpec("scores", (4,), 1 << 40, sum="later")]
    terms = Terms(threshold=3, kem="x25519", deadline=0.5, setting=setting)
    result = secure_aggregate(nodes, nodes.nodes, specs, terms=terms)
    assert (result.arrays["counts"] == total(counts, [1, 2, 3, 4, 6])).all()
    assert (result.arrays["scores"] == total(scores, [1, 3, 4, 6])).all()
    assert result.survivors["later"] == {101, 103, 104, 106}
    assert sum(step == "Roster" for _, step in nodes.sent) == N


@pytest.mark.parametrize("step", ["Invitation", "Roster", "Delivery", "Survivors"])
@pytest.mark.parametrize("how", ["lost", error_reply, 5.0], ids=["lost", "error", "late"])
def test_a_loss_at_any_step_is_dropped_and_the_sum_stays_exact(step: str, how: Any) -> None:
    nodes = grid(lose({2: step, 4: step}, how))
    began = time.monotonic()
    result = secure_aggregate(nodes, nodes.nodes, SPECS, terms=FAST)
    assert time.monotonic() - began < 3
    inside = [1, 2, 3, 4, 5, 6] if step == "Survivors" else [1, 3, 5, 6]
    assert (result.arrays["counts"] == total(counts, inside)).all()
    assert result.survivors["sum"] == {100 + number for number in inside}
    if step != "Survivors":
        assert result.lost.keys() == {102, 104}


def test_a_node_that_comes_back_late_joins_the_next_sum_of_the_session() -> None:
    late, slow = lose({2: "Delivery"}, 0.7), lose({3: "Survivors"}, 0.4)
    nodes = grid(lambda *message: late(*message) or slow(*message))
    specs = [SPECS[0], ArraySpec("scores", (4,), 1 << 40, sum="later")]
    terms = Terms(threshold=3, kem="x25519", deadline=0.5)
    result = secure_aggregate(nodes, nodes.nodes, specs, terms=terms)
    assert result.survivors["sum"] == {101, 103, 104, 105, 106}
    assert result.survivors["later"] == {101, 102, 103, 104, 105, 106}
    assert (result.arrays["scores"] == total(scores, range(1, N + 1))).all()


def test_a_restarted_node_is_dropped_and_joins_the_next_session() -> None:
    nodes = grid()

    def restarts(node: int, step: str, _message: Message) -> None:
        if (node, step) == (103, "Delivery"):
            nodes.nodes[node].restart()

    nodes.fault = restarts
    result = secure_aggregate(nodes, nodes.nodes, SPECS, terms=FAST)
    assert result.survivors["sum"] == {101, 102, 104, 105, 106}
    assert "not in" in result.lost[103]
    nodes.fault = lambda *_: None
    result = secure_aggregate(nodes, nodes.nodes, SPECS, terms=FAST)
    assert len(result.survivors["sum"]) == N


def test_weighted_means_of_floats() -> None:
    values = {number: np.random.default_rng(number).normal(size=(3, 2)).clip(-1, 1) for number in range(1, N + 1)}

    def mine(_request: RecordDict, context: Context) -> Mapping[str, Input]:
        number = context.node_id - 100
        return {"model": Weighted(values[number], number)}

    nodes = make_grid([app(mine) for _ in range(N)])
    how = Quantization(20, 1.0, 100)
    result = secure_aggregate(nodes, nodes.nodes, [ArraySpec("model", (3, 2), mean=how)], terms=FAST)
    expected = sum(number * value for number, value in values.items()) / sum(values)
    assert np.abs(result.arrays["model"] - expected).max() <= 1 / how.levels


def test_a14_every_node_sees_the_request_and_a_different_one_is_refused() -> None:
    seen = {}

    def mine(request: RecordDict, context: Context) -> Mapping[str, Input]:
        seen[context.node_id] = request.array_records["model"]["w"].numpy().tolist(), request["how"]["rate"]
        return inputs(request, context)

    nodes = make_grid([app(mine) for _ in range(N)])
    model = RecordDict({"model": ArrayRecord({"w": Array(np.arange(3.0))}), "how": ConfigRecord({"rate": 0.1})})
    result = secure_aggregate(nodes, nodes.nodes, SPECS, request=model, terms=FAST)
    assert seen == dict.fromkeys(nodes.nodes, ([0.0, 1.0, 2.0], 0.1))
    assert not result.lost

    def lies(node: int, step: str, message: Message) -> None:
        if (node, step) == (102, "Delivery"):
            message.content["model"] = ArrayRecord({"w": Array(np.arange(3.0) + 1e-9)})

    nodes.fault = lies
    result = secure_aggregate(nodes, nodes.nodes, SPECS, request=model, terms=FAST)
    assert result.survivors["sum"] == {101, 103, 104, 105, 106}
    assert "FaultyServerError: the records are not those" in result.lost[102]


def test_too_many_lost_is_a_named_error_and_secrets_are_forgotten() -> None:
    nodes = grid(lose({1: "Delivery", 2: "Delivery", 3: "Delivery"}))
    with pytest.raises(TooFewSurvivorsError, match="3 clients left, 4 needed"):
        secure_aggregate(nodes, nodes.nodes, SPECS, terms=FAST)
    assert not any(SESSION.encode() in node.state for node in nodes.nodes.values())


def test_shards_are_added_and_one_that_fails_is_left_out() -> None:
    apps = [app() for _ in range(9)]
    nodes = make_grid(apps)
    terms = Terms(threshold=2, kem="x25519", deadline=0.5, shard=3)
    result = secure_aggregate(nodes, nodes.nodes, SPECS, terms=terms)
    assert (result.arrays["counts"] == total(counts, range(1, 10))).all()
    nodes.fault = lose({4: "Delivery"})
    result = secure_aggregate(nodes, nodes.nodes, SPECS, terms=terms)
    inside = {node - 100 for node in result.survivors["sum"]}
    assert len(inside) == 6
    assert 4 not in inside
    assert (result.arrays["counts"] == total(counts, inside)).all()
    assert [type(error) for error in result.failures] == [TooFewSurvivorsError]
    assert set(result.lost) == set(nodes.nodes) - result.survivors["sum"]


def test_a_superlink_that_is_gone_is_a_named_error() -> None:
    nodes = grid()

    def gone(_node: int, step: str, _message: Message) -> None:
        nodes.gone = step == "Roster"

    nodes.fault = gone
    began = time.monotonic()
    with pytest.raises(TransportError, match=r"did not answer for 0\.5 s"):
        secure_aggregate(nodes, nodes.nodes, SPECS, terms=Terms(threshold=3, deadline=5.0, patience=0.5))
    nodes.gone = False
    assert time.monotonic() - began < 3


def test_too_few_nodes_or_bits_are_refused_before_anything_is_sent() -> None:
    nodes = make_grid([app(), app()])
    with pytest.raises(ConfigurationError, match="2 have an identity that counts; 3 to"):
        secure_aggregate(nodes, nodes.nodes, SPECS, terms=FAST)
    nodes = grid()
    with pytest.raises(ConfigurationError, match="needs 66 bits, at most 64"):
        secure_aggregate(nodes, nodes.nodes, [ArraySpec("huge", (1,), 1 << 62)], terms=FAST)
    assert {step for _, step in nodes.sent} == {"Enrolment"}
