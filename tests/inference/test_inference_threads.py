"""Several threads in one run: the same bits, no thread left behind, and a plan that says what they share."""

from __future__ import annotations

import gc
import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from dins import samples, trained
from test_inference_images import residual_net

from native import nn
from securefl.inference import Graph, Node, Session, Spec, din_graph
from securefl.inference.backends.native import backend


@pytest.fixture(autouse=True)
def everything_is_worth_sharing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "WORTH_SHARING", 0.0)


def tasks() -> int:
    return sum(1 for _ in Path("/proc/self/task").iterdir())


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return all(one[name].tobytes() == other[name].tobytes() for name in one)


@pytest.mark.parametrize("threads", [2, 3, 7])
@pytest.mark.parametrize(("size", "images"), [((29, 30), 1), ((16, 16), 3), ((8, 9), 1)])
@pytest.mark.parametrize("algorithms", [(), ("direct",), ("Winograd F(2, 3)",), ("Winograd F(4, 3)",)])
def test_an_image_net_is_the_same(
    instructions: str, size: tuple[int, int], images: int, threads: int, algorithms: tuple[str, ...]
) -> None:
    net = residual_net(1, 5, size, images)
    graph, given = net.graph(net.out), net.given()  # type: ignore[attr-defined]
    one, several = (
        Session(graph, n, instructions=instructions, algorithms=algorithms, calibrate=False) for n in (1, threads)
    )
    assert same(one.run(given), several.run(given))
    assert any(f"{threads} threads" in row.reason for row in several.plan())
    assert [row.algorithm for row in one.plan()] == [row.algorithm for row in several.plan()]


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize(("candidates", "history"), [(1, 5), (2, 5), (33, 5), (600, 40)])
def test_din_is_the_same(instructions: str, candidates: int, history: int, precision: str) -> None:
    targets, histories = samples(trained(0), candidates, history)
    graph, given = din_graph(trained(0).submodel(), candidates, history), {"target": targets, "history": histories}
    one, several = (Session(graph, n, instructions=instructions, precision=precision) for n in (1, 3))
    wanted = one.run(given)
    assert all(same(several.run(given), wanted) for _ in range(5))
    assert several.memory.arena >= one.memory.arena  # scratch for each thread, and counted


def test_profile_and_hybrid_plans_take_the_threads(instructions: str) -> None:
    net = residual_net(2, 3, (12, 12), 1)
    graph, given = net.graph(net.out), net.given()  # type: ignore[attr-defined]
    session = Session(graph, 2, ("native", "numpy"), instructions=instructions, placement={"MaxPool": "numpy"})
    assert all(row.seconds is not None for row in session.profile(given))
    assert same(session.run(given), Session(graph, instructions=instructions).run(given)) or session.transfers


def test_threads_sleep_between_runs_and_end_with_the_session() -> None:
    net = residual_net(3, 3, (16, 16), 1)
    given, before = net.given(), tasks()
    session = Session(net.graph(net.out), 4)  # type: ignore[attr-defined]
    assert tasks() == before  # they start with the first run
    session.run(given)
    assert tasks() == before + 3
    used = time.process_time()
    time.sleep(0.3)
    assert time.process_time() - used < 0.1
    del session
    gc.collect()
    assert tasks() == before


def test_threads_that_were_closed_start_again() -> None:
    net = residual_net(3, 3, (16, 16), 1)
    given, before = net.given(), tasks()
    session = Session(net.graph(net.out), 3)  # type: ignore[attr-defined]
    session.close()
    wanted = session.run(given)
    session.close()
    session.close()
    assert tasks() == before
    assert same(session.run(given), wanted)
    assert tasks() == before + 2


def test_what_is_too_short_stays_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    reasons = {}
    for size in (64, 1 << 22):
        graph = Graph((Node("Sigmoid", ("a",), ("y",)),), {"a": Spec((size,))}, ("y",), {}).with_specs()
        (row,) = Session(graph, 2, calibrate=False).plan()
        reasons[size] = row.reason
    assert reasons == {64: "too short to share", 1 << 22: "2 threads"}


@pytest.mark.parametrize("op", ["Relu", "Sigmoid", "Tanh", "Softmax", "Add", "Sub", "Mul"])
@pytest.mark.parametrize("shape", [(1, 333), (7, 3, 11), (2, 129)])
@pytest.mark.parametrize("threads", [2, 5])
def test_functions_are_the_same(op: str, shape: tuple[int, ...], threads: int, instructions: str) -> None:
    names = ("a", "b") if op in ("Add", "Sub", "Mul") else ("a",)
    graph = Graph((Node(op, names, ("y",)),), dict.fromkeys(names, Spec(shape)), ("y",), {}).with_specs()
    one, several = (Session(graph, n, instructions=instructions, rewrite=False) for n in (1, threads))
    assert same(one.run(one.example()), several.run(one.example()))


def test_sessions_with_threads_run_from_several_threads() -> None:
    net = residual_net(4, 3, (16, 16), 1)
    given, session = net.given(), Session(net.graph(net.out), 3)  # type: ignore[attr-defined]
    wanted, wrong = session.run(given), list[int]()

    def work() -> None:
        wrong.extend(i for i in range(50) if not same(session.run(given), wanted))

    callers = [threading.Thread(target=work) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong


def test_a_program_of_one_pool_waits_for_its_turn() -> None:
    """Below the session's lock: two programs on one pool, from two threads."""
    k, pool = nn.kernels(), nn.Pool(2)
    x = np.random.default_rng(5).standard_normal((64, 64), np.float32)
    weights, bias, outs = k.pack(x), k.pad(x[0]), [np.zeros((64, 64), np.float32) for _ in range(2)]
    cut = nn.Kernels(k.name, k.width, k.tile_rows, parts=2)
    programs = [nn.Program([cut.linear(out, x, weights, bias)] * 100, pool) for out in outs]
    callers = [threading.Thread(target=program.run) for program in programs]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert outs[0].tobytes() == outs[1].tobytes()
    assert np.abs(outs[0] - (x @ x + x[0])).max() < 1e-3


def test_each_part_of_an_int8_product_widens_its_own_weights() -> None:
    k, pool, random = nn.kernels(), nn.Pool(3), np.random.default_rng(6)
    x, weights = random.standard_normal((60, 300), np.float32), random.integers(-127, 127, (300, 200)).astype(np.int8)
    out, bias, scales = np.empty((60, 200), np.float32), k.pad(np.zeros(200)), k.pad(np.ones(200))
    cut = nn.Kernels(k.name, k.width, k.tile_rows, parts=3)
    scratch = np.empty(cut.scratch_of_all(300 * k.panel), np.float32)
    program = nn.Program([cut.linear(out, x, k.pack(weights), bias, scales=scales, scratch=scratch)], pool)
    for _ in range(30):
        out.fill(0)
        program.run()
        assert np.abs(out - x @ weights).max() < 1e-2


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_of_fork_starts_threads_of_its_own(tmp_path: Path) -> None:
    net = residual_net(6, 3, (16, 16), 1)
    given, session = net.given(), Session(net.graph(net.out), 3)  # type: ignore[attr-defined]
    wanted = session.run(given)
    child = os.fork()
    if child == 0:
        right = same(session.run(given), wanted)
        (tmp_path / "done").write_text(f"{right} {tasks()}")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert (tmp_path / "done").read_text() == "True 3"
    assert same(session.run(given), wanted)


@pytest.mark.parametrize("threads", [0, 65, -1])
def test_a_pool_of_too_many_threads_is_refused(threads: int) -> None:
    with pytest.raises(nn.NNError, match=r"threads must be in 1\.\.64"):
        nn.Pool(threads)


def test_scratch_for_one_part_is_too_little_for_two() -> None:
    k = nn.kernels("portable")
    window = nn.Window(1, 16, (8, 8), 16, (8, 8), (3, 3), (1, 1), (1, 1))
    scratch, x = np.zeros(k.conv_scratch(window), np.float32), np.zeros(16 * 64, np.float32)
    weights, bias = np.zeros((2, 144, 8), np.float32), np.zeros(16, np.float32)
    k.conv(window, np.zeros_like(x), x, weights, bias, scratch)
    with pytest.raises(nn.NNError, match="scratch has"):
        nn.Kernels(k.name, k.width, k.tile_rows, parts=2).conv(window, np.zeros_like(x), x, weights, bias, scratch)
