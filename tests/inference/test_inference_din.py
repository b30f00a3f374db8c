"""The on-device loop: a session over a client's rows gives what the trainer's forward gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from dins import ITEMS, samples, trained
from hypothesis import given, settings
from hypothesis import strategies as st

from native import nn
from securefl.inference import PADDING, ModelError, Ranker, Session, Submodel, din_graph, load_submodel, save_submodel
from securefl.inference.errors import InputError
from securefl.inference.onnx import to_onnx
from securefl.inference.rules import ALGEBRA, rewrite


def chances(session: Session, targets: np.ndarray, histories: np.ndarray) -> np.ndarray:
    return session.run({"target": targets, "history": histories})["chance"][:, 0]


@pytest.mark.parametrize("width", [1, 5, 18, 64])
@pytest.mark.parametrize("skip_padding", [True, False])
def test_equal_to_the_trainers_forward(instructions: str, width: int, skip_padding: bool) -> None:
    model = trained(width, width)
    targets, histories = samples(model, 33, 21)
    session = Session(din_graph(model.submodel(), 33, 21), instructions=instructions, skip_padding=skip_padding)
    assert np.abs(chances(session, targets, histories) - model.predict(targets, histories)).max() < 1e-5


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**16),
    width=st.integers(1, 20),
    candidates=st.integers(1, 9),
    history=st.integers(1, 40),
    kernels=st.sampled_from(nn.backends()),
)
def test_any_shape(seed: int, width: int, candidates: int, history: int, kernels: str) -> None:
    model = trained(seed, width)
    targets, histories = samples(model, candidates, history, seed)
    session = Session(din_graph(model.submodel(), candidates, history), instructions=kernels)
    assert np.abs(chances(session, targets, histories) - model.predict(targets, histories)).max() < 1e-5


def test_the_model_as_written_and_the_numpy_backend_agree_too() -> None:
    model = trained(3)
    targets, histories = samples(model, 12, 30)
    wanted = model.predict(targets, histories)
    graph = din_graph(model.submodel(), 12, 30)
    for choice in ({"backend": "numpy"}, {"rewrite": False}, {"backend": "numpy", "rewrite": False}):
        assert np.abs(chances(Session(graph, **choice), targets, histories) - wanted).max() < 1e-5


def test_the_whole_model_becomes_nine_nodes_of_which_one_is_the_attention() -> None:
    graph, saved = rewrite(din_graph(trained(0).submodel(), 2, 5))
    assert [node.op for node in graph.nodes].count("Attention") == 1
    assert len(graph.nodes) == 9
    assert saved["fuse_attention"] > 20


@pytest.mark.parametrize(("candidates", "history"), [(1, 1), (1, 100), (64, 50), (500, 100)])
def test_all_of_it_runs_on_our_kernels(candidates: int, history: int) -> None:
    session = Session(din_graph(trained(0).submodel(), candidates, history))
    assert {row.backend for row in session.plan()} == {"native"}


def test_an_absent_target_has_the_row_of_an_average_item() -> None:
    model = trained(1, held=10)
    absent = np.setdiff1d(np.arange(ITEMS), model.items)[:1]
    histories = model.items[None, :4]
    session = Session(din_graph(model.submodel(), 1, 4))
    widened = Submodel(
        model.dense,
        np.append(model.items, ITEMS),
        np.vstack([model.submodel().rows, np.zeros((1, 36), np.float32)]),
        model.user,
    )
    zero_row = chances(Session(din_graph(widened, 1, 4)), np.array([ITEMS]), histories)
    assert chances(session, absent, histories) == pytest.approx(zero_row, abs=1e-7)


def test_padding_anywhere_does_not_count(instructions: str) -> None:
    model = trained(2)
    targets = model.items[:1]
    session = Session(din_graph(model.submodel(), 1, 6), instructions=instructions)
    a, b = model.items[3], model.items[7]
    tight = chances(session, targets, np.array([[a, b, PADDING, PADDING, PADDING, PADDING]]))
    loose = chances(session, targets, np.array([[PADDING, a, PADDING, PADDING, b, PADDING]]))
    assert tight == pytest.approx(loose, abs=1e-6)


def test_int8_is_close_and_smaller() -> None:
    model = trained(4)
    targets, histories = samples(model, 64, 20)
    graph = din_graph(model.submodel(), 64, 20)
    whole, small = Session(graph), Session(graph, precision="int8")
    difference = np.abs(chances(small, targets, histories) - chances(whole, targets, histories))
    assert 0 < difference.max() < 0.02
    assert small.memory.weights < whole.memory.weights


def test_a_submodel_of_no_rows_scores() -> None:
    model = trained(0)
    bare = Submodel(model.dense, model.items[:0], model.submodel().rows[:0], model.user)
    session = Session(din_graph(bare, 2, 3))
    found = chances(session, np.array([4, 5]), np.full((2, 3), 7))
    assert found[0] == found[1]


def test_files_come_back(tmp_path: Path) -> None:
    model = trained(5).submodel()
    save_submodel(model, tmp_path / "s.safetensors")
    again = load_submodel(tmp_path / "s.safetensors")
    for name in ("dense", "items", "rows", "user"):
        assert (getattr(again, name) == getattr(model, name)).all()


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\xff" * 64, (8).to_bytes(8, "little") + b"{}      "])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "s.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="is no submodel"):
        load_submodel(path)


def test_nan_in_a_submodel_is_refused(tmp_path: Path) -> None:
    model = trained(5).submodel()
    model.rows[0, 0] = np.nan
    save_submodel(model, tmp_path / "s.safetensors")
    with pytest.raises(ModelError, match="rows must be finite"):
        load_submodel(tmp_path / "s.safetensors")


def test_a_ranker_orders_by_chance() -> None:
    model = trained(6)
    items, clicks = model.items[[5, 1, 9, 20]], model.items[[2, 3, 2]]
    ranker = Ranker(model.submodel(), candidates=8, history=2)
    found = ranker.chances(items, np.append(ITEMS + 5, clicks))
    wanted = model.predict(items, np.tile(clicks[-2:], (4, 1)))
    assert found == pytest.approx(wanted, abs=1e-5)
    assert ranker.rank(items, clicks).tolist() == items[np.argsort(-wanted)].tolist()


@pytest.mark.parametrize("items", [np.zeros(0, np.int64), np.arange(9), np.array([[1]]), np.array([ITEMS])])
def test_a_ranker_refuses_what_it_cannot_score(items: np.ndarray) -> None:
    with pytest.raises(InputError, match="items: "):
        Ranker(trained(6).submodel(), candidates=8).rank(items, np.zeros(0, np.int64))


@pytest.mark.needs("onnx", "onnxruntime")
@pytest.mark.parametrize("rules", [(), ALGEBRA], ids=["as written", "factored"])
def test_exported_to_onnx_it_gives_the_same(rules: tuple) -> None:
    import onnxruntime

    model = trained(7)
    targets, histories = samples(model, 9, 15)
    graph, _ = rewrite(din_graph(model.submodel(), 9, 15), rules)
    peer = onnxruntime.InferenceSession(to_onnx(graph).SerializeToString())
    (found,) = peer.run(None, {"target": targets, "history": histories})
    assert np.abs(found[:, 0] - model.predict(targets, histories)).max() < 1e-5
