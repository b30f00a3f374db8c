"""Image nets: every algorithm, layout and rewriting against the NumPy backend, and against onnxruntime."""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from native import nn
from securefl.inference import Graph, ModelError, Node, Session, Spec, load_prepared, save_prepared
from securefl.inference.onnx import load_onnx, to_onnx

FEW = settings(max_examples=30)


class Builder:
    """A net of images as it grows: small, with every operator that the kernels take."""

    def __init__(self, seed: int, channels: int, size: tuple[int, int], images: int = 1) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes, self.constants = list[Node](), dict[str, np.ndarray]()
        self.inputs = {"x": Spec((images, channels, *size))}
        self.count = 0

    def constant(self, *shape: int, scale: float = 1.0) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = self.random.standard_normal(shape, np.float32) * np.float32(scale)
        return name

    def add(self, op: str, *inputs: str, **attributes: object) -> str:
        self.count += 1
        self.nodes.append(Node(op, inputs, (f"v{self.count}",), attributes))  # type: ignore[arg-type]
        return f"v{self.count}"

    def conv(self, x: str, channels: int, filters: int, kernel: int, stride: int = 1, group: int = 1) -> str:
        weights = self.constant(filters, channels // group, kernel, kernel, scale=(2 / (channels * kernel**2)) ** 0.5)
        shape = {"strides": (stride, stride), "pads": (kernel // 2,) * 4, "group": group}
        return self.add("Conv", x, weights, self.constant(filters), **shape)

    def graph(self, out: str) -> Graph:
        return Graph(tuple(self.nodes), self.inputs, (out,), self.constants).with_specs()

    def given(self) -> dict[str, np.ndarray]:
        return {"x": self.random.standard_normal(self.inputs["x"].shape, np.float32)}


def residual_net(seed: int, channels: int, size: tuple[int, int], images: int) -> Builder:
    """Convolutions of all kinds, a residual, a concatenation, pooling, classes."""
    b = Builder(seed, channels, size, images)
    x = b.add("Relu", b.conv("x", channels, 32, 3, 2))
    y = b.conv(b.add("Relu", b.conv(x, 32, 32, 3)), 32, 32, 3)
    x = b.add("Relu", b.add("Add", y, x))
    x = b.add("MaxPool", x, kernel_shape=(3, 3), strides=(2, 2), ceil_mode=1)
    x = b.add("Clip", b.conv(x, 32, 32, 3, 1, 32), b.constant(), b.constant())
    b.constants[b.nodes[-1].inputs[1]], b.constants[b.nodes[-1].inputs[2]] = np.float32(0), np.float32(6)
    x = b.add("Concat", b.add("Relu", b.conv(x, 32, 16, 1)), b.conv(x, 32, 20, 5), axis=1)
    x = b.add("Sigmoid", b.conv(x, 36, 19, 1))
    x = b.add("AveragePool", x, kernel_shape=(2, 2), strides=(1, 1), pads=(0, 0, 1, 1))
    x = b.add("Flatten", b.add("GlobalAveragePool", x), axis=1)
    x = b.add("Gemm", x, b.constant(7, 19), b.constant(7), transB=1)
    return _finished(b, b.add("Softmax", x, axis=1))


def _finished(b: Builder, out: str) -> Builder:
    b.out = out  # type: ignore[attr-defined]
    return b


def near(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(np.abs(a - b).max() <= 1e-4 * max(1e-3, np.abs(b).max()))


@FEW
@given(
    seed=st.integers(0, 2**16),
    channels=st.sampled_from([1, 3, 5, 16, 17]),
    size=st.tuples(st.integers(8, 30), st.integers(8, 30)),
    images=st.integers(1, 2),
    kernels=st.sampled_from(nn.backends()),
    rewrite=st.booleans(),
)
def test_equal_to_the_numpy_backend(
    seed: int, channels: int, size: tuple[int, int], images: int, kernels: str, rewrite: bool
) -> None:
    b = residual_net(seed, channels, size, images)
    graph, given_ = b.graph(b.out), b.given()  # type: ignore[attr-defined]
    session = Session(graph, instructions=kernels, rewrite=rewrite)
    wanted = Session(graph, backend="numpy", rewrite=False).run(given_)[b.out]  # type: ignore[attr-defined]
    assert near(session.run(given_)[b.out], wanted)  # type: ignore[attr-defined]
    if rewrite:
        assert {row.backend for row in session.plan()} == {"native"}


@pytest.mark.needs("onnx", "onnxruntime")
@pytest.mark.parametrize("seed", range(4))
def test_equal_to_onnxruntime_there_and_back(seed: int, instructions: str) -> None:
    import onnxruntime

    b = residual_net(seed, 3, (24 + seed, 31), 1)
    given_ = b.given()
    content = to_onnx(b.graph(b.out)).SerializeToString()  # type: ignore[attr-defined]
    (wanted,) = onnxruntime.InferenceSession(content).run(None, given_)
    session = Session(load_onnx(content), instructions=instructions)
    assert near(session.run(given_)[b.out], wanted)  # type: ignore[attr-defined]


@pytest.mark.needs("onnx", "onnxruntime")
def test_a_fused_graph_is_written_in_operators_that_onnx_has() -> None:
    import onnxruntime

    b = residual_net(9, 3, (20, 20), 1)
    given_, session = b.given(), Session(b.graph(b.out))  # type: ignore[attr-defined]
    content = to_onnx(session.rewritten).SerializeToString()
    (found,) = onnxruntime.InferenceSession(content).run(None, given_)
    assert near(found, session.run(given_)[b.out])  # type: ignore[attr-defined]


def test_batch_normalization_goes_into_the_convolution() -> None:
    b = Builder(0, 4, (9, 9))
    parameters = [b.constant(6) for _ in range(4)]
    b.constants[parameters[3]] = np.abs(b.constants[parameters[3]]) + np.float32(0.1)
    x = b.add("Relu", b.add("BatchNormalization", b.conv("x", 4, 6, 3), *parameters, epsilon=1e-3))
    session, given_ = Session(b.graph(x)), b.given()
    assert near(session.run(given_)[x], Session(b.graph(x), backend="numpy", rewrite=False).run(given_)[x])
    assert [node.op for node in session.rewritten.nodes] == ["Conv"]


def test_layouts_change_at_the_borders_alone() -> None:
    b = residual_net(1, 3, (30, 30), 1)
    session = Session(b.graph(b.out))  # type: ignore[attr-defined]
    assert session.conversions == 1
    assert session.transfers == 0


def test_a_concatenation_of_whole_blocks_is_filled_in_place() -> None:
    b = Builder(0, 16, (8, 8))
    x = b.add("Relu", b.add("Concat", b.conv("x", 16, 16, 1), b.conv("x", 16, 32, 3), axis=1))
    session, given_ = Session(b.graph(x)), b.given()
    rows = {row.name.split()[0]: row for row in session.profile(given_, runs=1)}
    assert near(session.run(given_)[x], Session(b.graph(x), backend="numpy").run(given_)[x])
    concat = next(op for op in session._plan.operations if op.name.startswith("Concat"))
    assert concat.steps == ()
    assert "Concat" in rows


def test_memory_is_less_than_all_activations() -> None:
    b = residual_net(2, 3, (160, 160), 1)
    memory = Session(b.graph(b.out)).memory  # type: ignore[attr-defined]
    assert memory.arena < memory.activations


def test_resize_plans_anew() -> None:
    b = Builder(0, 3, (10, 12))
    x = b.add("GlobalAveragePool", b.conv("x", 3, 8, 3))
    session = Session(b.graph(x))
    session.resize({"x": (2, 3, 7, 5)})
    larger = np.random.default_rng(0).standard_normal((2, 3, 7, 5), np.float32)
    assert session.run({"x": larger})[x].shape == (2, 8, 1, 1)
    assert near(session.run({"x": larger})[x], Session(session._model, backend="numpy").run({"x": larger})[x])
    with pytest.raises(ModelError):
        session.resize({"x": (1, 4, 7, 5)})
    with pytest.raises(ValueError, match="'y' is no input"):
        session.resize({"y": (1,)})


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_prepared_file_gives_the_same(tmp_path: Path, precision: str) -> None:
    b = residual_net(3, 3, (20, 20), 1)
    given_, session = b.given(), Session(b.graph(b.out), precision=precision)  # type: ignore[attr-defined]
    save_prepared(session, tmp_path / "net")
    again = load_prepared(tmp_path / "net")
    assert (again.run(given_)[b.out] == session.run(given_)[b.out]).all()  # type: ignore[attr-defined]
    assert not any(array.flags.writeable for array in again.prepared.values() if array.size)
    assert all(isinstance(memory_of(array), mmap.mmap) for array in again.prepared.values() if array.size)


def memory_of(array: object) -> object:
    """What a chain of views begins with."""
    while isinstance(array, np.ndarray | memoryview):
        array = array.base if isinstance(array, np.ndarray) else array.obj
    return array


def test_a_prepared_file_works_with_other_instructions(tmp_path: Path, instructions: str) -> None:
    b = residual_net(4, 3, (20, 20), 1)
    given_, session = b.given(), Session(b.graph(b.out), instructions="portable")  # type: ignore[attr-defined]
    save_prepared(session, tmp_path / "net")
    again = load_prepared(tmp_path / "net", instructions=instructions)
    assert near(again.run(given_)[b.out], session.run(given_)[b.out])  # type: ignore[attr-defined]


def test_a_damaged_prepared_file_is_named(tmp_path: Path) -> None:
    """Whatever byte of the header is wrong: a named error or the same result, never anything else."""
    b = Builder(5, 3, (6, 6))
    out = b.add("Relu", b.conv("x", 3, 4, 3))
    given_, session = b.given(), Session(b.graph(out))
    save_prepared(session, tmp_path / "net")
    content = (tmp_path / "net").read_bytes()
    for cut in (0, 7, 15, 16, 100, len(content) // 2, len(content) - 4096):
        (tmp_path / "cut").write_bytes(content[:cut])
        with pytest.raises(ModelError):
            load_prepared(tmp_path / "cut")
    random = np.random.default_rng(0)
    for _ in range(150):
        damaged = bytearray(content)
        damaged[random.integers(0, 1200)] = random.integers(0, 256)
        (tmp_path / "net").write_bytes(damaged)
        try:
            load_prepared(tmp_path / "net").run(given_)
        except ValueError as error:
            assert str(error)  # noqa: PT017 - a few changes are harmless, all others are named


def test_strassen_is_chosen_where_it_pays() -> None:
    """Many channels over many pixels; not for the small products of the usual nets."""

    def algorithms(channels: int, side: int) -> list[str]:
        b = Builder(0, channels, (side, side))
        session = Session(b.graph(b.conv("x", channels, channels, 1)), calibrate=False)
        return [row.algorithm for row in session.plan()]

    assert "Strassen" in algorithms(2048, 24)
    assert "Strassen" not in algorithms(64, 24)


def test_every_algorithm_gives_the_same(instructions: str) -> None:
    lanes = nn.kernels(instructions).width
    b = Builder(1, 2 * lanes, (10, 12))
    x = b.conv("x", 2 * lanes, 4 * lanes, 1)
    graph, given_ = b.graph(b.conv(x, 4 * lanes, 17, 3)), b.given()
    out = graph.outputs[0]
    wanted = Session(graph, backend="numpy").run(given_)[out]
    for algorithm in ("direct", "matrix product", "Strassen", "Winograd F(2, 3)", "Winograd F(4, 3)"):
        session = Session(graph, instructions=instructions, algorithms=(algorithm,))
        assert algorithm in [row.algorithm for row in session.plan()]
        assert near(session.run(given_)[out], wanted)
