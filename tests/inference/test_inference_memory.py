"""One arena: who lies where, how large it gets, and that a run takes nothing besides."""

from __future__ import annotations

import sys
import threading
import tracemalloc

import numpy as np
import pytest
from dins import samples, trained
from hypothesis import given
from hypothesis import strategies as st
from test_inference_images import residual_net

from securefl.inference import Graph, ModelError, Node, Session, Spec, din_graph
from securefl.inference.arena import Block, place

BLOCKS = st.lists(
    st.builds(
        lambda size, first, length: (size, first, first + length),
        st.integers(0, 5000),
        st.integers(0, 12),
        st.integers(0, 6),
    ),
    max_size=25,
)


@given(sizes=BLOCKS)
def test_what_is_needed_at_the_same_time_lies_apart(sizes: list[tuple[int, int, int]]) -> None:
    blocks = [Block(str(i), *each) for i, each in enumerate(sizes)]
    offsets, total = place(blocks)
    for block in blocks:
        assert offsets[block.name] % 64 == 0
        assert offsets[block.name] + block.size <= total
    for a in blocks:
        for b in blocks:
            if a.name < b.name and a.meets(b):
                first, second = sorted((a, b), key=lambda block: offsets[block.name])
                assert offsets[first.name] + first.size <= offsets[second.name] or not first.size * second.size


@given(sizes=BLOCKS)
def test_the_arena_is_between_the_largest_step_and_the_sum(sizes: list[tuple[int, int, int]]) -> None:
    blocks = [Block(str(i), *each) for i, each in enumerate(sizes)]
    total = place(blocks)[1]
    assert total <= sum(block.size + 63 for block in blocks)
    for step in range(20):
        assert total >= sum(block.size for block in blocks if block.first <= step <= block.last)


def test_a_model_of_too_many_activations_is_refused_before_they_are_allocated() -> None:
    """Sixty values of 512 MB that live at once: a file of a few kilobytes."""
    nodes = [Node("Relu", ("x",), (f"v{i}",)) for i in range(60)]
    graph = Graph(tuple(nodes), {"x": Spec((1 << 27,))}, tuple(f"v{i}" for i in range(60)), {}).with_specs()
    with pytest.raises(ModelError, match="activations need"):
        Session(graph)


def taken(session: Session, given_: dict[str, np.ndarray]) -> int:
    """Bytes that ten runs allocate at most at a time, of what Python and NumPy allocate."""
    out = {name: np.empty(spec.shape, spec.dtype) for name, spec in session.outputs.items()}
    session.run(given_, out)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(10):
        session.run(given_, out)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak - before


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_run_into_given_arrays_allocates_nothing(precision: str, threads: int) -> None:
    """But for the tuples and dicts of the call itself; what the kernels need of C is checked in tests/native."""
    model = trained(0)
    session = Session(din_graph(model.submodel(), 64, 50), threads, precision=precision)
    assert session.memory.arena > 100_000
    assert taken(session, dict(zip(("target", "history"), samples(model, 64, 50), strict=True))) < 2000
    b = residual_net(0, 3, (48, 48), 1)
    session = Session(b.graph(b.out), threads, precision=precision)  # type: ignore[attr-defined]
    assert session.memory.arena > 100_000
    assert taken(session, b.given()) < 2000


@pytest.mark.parametrize("threads", [1, 2])
def test_the_interpreters_lock_is_free_during_a_run(threads: int) -> None:
    """Nobody else is given the lock for a minute unless it is let go of: the session must have done so."""
    nodes = (Node("MatMul", ("x", "w"), ("y",)),)
    graph = Graph(nodes, {"x": Spec((2000, 1000))}, ("y",), {"w": np.ones((1000, 1000), np.float32)}).with_specs()
    session = Session(graph, threads)
    given_ = session.example()
    session.run(given_)
    started, finished = threading.Event(), threading.Event()

    def run() -> None:
        started.set()
        session._run()
        finished.set()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(60)
    try:
        thread = threading.Thread(target=run)
        thread.start()
        started.wait()
        alone = finished.is_set()
        thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not alone
