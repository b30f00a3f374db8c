"""What a session accepts, refuses and tells."""

from __future__ import annotations

import re
import threading

import numpy as np
import pytest
from dins import samples, trained

from securefl.errors import ConfigurationError
from securefl.inference import Graph, InputError, ModelError, Node, Session, Spec, UnsupportedOperatorError, din_graph
from securefl.inference.graph import ordered


@pytest.fixture(scope="module")
def session() -> Session:
    return Session(din_graph(trained(0).submodel(), 2, 5))


@pytest.fixture
def inputs() -> dict[str, np.ndarray]:
    targets, histories = samples(trained(0), 2, 5)
    return {"target": targets, "history": histories}


def small(op: str, *shapes: tuple[int, ...], **attributes: int) -> Graph:
    names = tuple("abcd"[: len(shapes)])
    node = Node(op, names, ("out",), attributes)
    return Graph((node,), dict(zip(names, map(Spec, shapes), strict=True)), ("out",), {}).with_specs()


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"thread": 1}, "thread"),
        ({"threads": 0}, "threads"),
        ({"threads": 65}, "threads"),
        ({"threads": "1"}, "threads"),
        ({"backend": "gpu"}, "backend: .*gpu"),
        ({"backend": ()}, "backend: none"),
        ({"backend": ("native", "gpu")}, "backend: .*gpu"),
        ({"precision": "fp16"}, "precision"),
        ({"instructions": "sse9"}, "instructions: 'sse9'"),
        ({"skip_padding": 1}, "skip_padding"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict, named: str) -> None:
    with pytest.raises(InputError, match=named):
        Session(small("Relu", (3,)), **settings)


def test_wrong_inputs_are_named(session: Session, inputs: dict) -> None:
    target, history = inputs["target"], inputs["history"]
    for wrong, named in (
        ({"target": target}, "inputs are 'target'; the model takes 'history', 'target'"),
        ({**inputs, "more": target}, "'more'"),
        ({"target": target[:1], "history": history}, r"'target' must be an array int64 \(2,\), not int64 \(1,\)"),
        ({"target": target.astype(np.int32), "history": history}, "not int32"),
        ({"target": target, "history": history.astype(float)}, "not float64"),
        ({"target": target.tolist(), "history": history}, "not list"),
        ({"target": target.astype(">i8"), "history": history}, "not >i8"),
    ):
        with pytest.raises(InputError, match=named):
            session.run(wrong)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_refused(bad: float) -> None:
    session = Session(small("Relu", (2, 33)))
    x = np.zeros((2, 33), np.float32)
    x[1, 32] = bad
    with pytest.raises(InputError, match="holds NaN or infinity"):
        session.run({"a": x})


@pytest.mark.parametrize("bad", [-1, 4, 2**40])
def test_an_index_that_is_no_row_is_refused(bad: int) -> None:
    node = Node("Gather", ("table", "index"), ("out",))
    graph = Graph((node,), {"index": Spec((3,), np.dtype(np.int64))}, ("out",), {"table": np.ones((4, 2), np.float32)})
    session = Session(graph)
    assert session.run({"index": np.array([0, 3, 1])})["out"].shape == (3, 2)
    with pytest.raises(InputError, match=re.escape("'index' has an index outside 0..3")):
        session.run({"index": np.array([0, bad, 1])})


def test_strided_inputs_are_read_as_they_are(session: Session, inputs: dict) -> None:
    wide = np.repeat(inputs["history"], 2, axis=1)
    assert (session.run({**inputs, "history": wide[:, ::2]})["chance"] == session.run(inputs)["chance"]).all()


def test_out_is_filled_and_returned(session: Session, inputs: dict) -> None:
    out = {"chance": np.zeros((2, 1), np.float32)}
    found = session.run(inputs, out)
    assert found["chance"] is out["chance"]
    assert (out["chance"] == session.run(inputs)["chance"]).all()


@pytest.mark.parametrize(
    "out",
    [
        {"chance": np.zeros((1, 2), np.float32)},
        {"chance": np.zeros((2, 1))},
        {"chance": np.broadcast_to(np.float32(0), (2, 1))},
        {"chances": np.zeros((2, 1), np.float32)},
    ],
    ids=["shape", "dtype", "read-only", "name"],
)
def test_out_that_does_not_fit_is_refused(session: Session, inputs: dict, out: dict) -> None:
    with pytest.raises(InputError, match=r"^out: "):
        session.run(inputs, out)


def test_results_are_the_callers_own(session: Session, inputs: dict) -> None:
    first = session.run(inputs)["chance"]
    kept = first.copy()
    session.run({**inputs, "target": inputs["target"][::-1].copy()})
    assert (first == kept).all()


def test_a_session_serves_several_threads(session: Session, inputs: dict) -> None:
    wanted, wrong = session.run(inputs)["chance"], list[int]()

    def work() -> None:
        for _ in range(50):
            if (session.run(inputs)["chance"] != wanted).any():
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_the_plan_and_the_profile_name_every_operation(session: Session, inputs: dict) -> None:
    plan, profile = session.plan(), session.profile(inputs, runs=2)
    assert [row.name for row in plan] == [row.name for row in profile]
    assert {row.backend for row in plan} == {"native"}
    assert any("attention" in row.algorithm for row in plan)
    assert all(row.seconds is None for row in plan)
    assert all(row.seconds is not None and row.seconds > 0 for row in profile)


def test_activations_share_memory(session: Session) -> None:
    assert session.memory.arena > 0
    assert session.memory.weights > 0
    deep = small("Relu", (1000,))
    nodes = [Node("Sigmoid", (f"v{i}",), (f"v{i + 1}",)) for i in range(20)]
    chain = Graph(tuple(nodes), {"v0": deep.inputs["a"]}, ("v20",), {}).with_specs()
    memory = Session(chain).memory
    assert memory.activations == 21 * 4000
    assert memory.arena <= 3 * 4032


def test_an_unknown_operator_is_named() -> None:
    with pytest.raises(UnsupportedOperatorError, match="'Fly'"):
        small("Fly", (3,))


def test_errors_are_configuration_errors() -> None:
    assert issubclass(ModelError, ConfigurationError)
    assert issubclass(InputError, ConfigurationError)


def test_graphs_that_are_none() -> None:
    a, b = Node("Relu", ("y",), ("x",)), Node("Relu", ("x",), ("y",))
    with pytest.raises(ModelError, match="cycle"):
        ordered([a, b], [], ["x"])
    with pytest.raises(ModelError, match="'z' is used but nothing makes it"):
        ordered([Node("Relu", ("z",), ("x",))], [], ["x"])
    with pytest.raises(ModelError, match="'x' is made more than once"):
        ordered([a, a], ["y"], ["x"])
    with pytest.raises(ModelError, match="more than"):
        Spec((1 << 15, 1 << 15))
    with pytest.raises(ModelError, match="float64"):
        Spec((1,), np.dtype(np.float64))
