"""The inference kernels: every backend against NumPy, at odd shapes, off alignment, and inside their buffers."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from native import nn

FEW = settings(max_examples=60)
every_kernel = pytest.mark.parametrize("k", [nn.kernels(name) for name in nn.backends()], ids=lambda k: k.name)
any_kernel = st.sampled_from([nn.kernels(name) for name in nn.backends()])
seeds = st.integers(0, 2**32 - 1)


def normal(seed: int, *shape: int) -> np.ndarray:
    """Normal numbers whose buffer starts in the middle of a vector."""
    size = int(np.prod(shape))
    return np.random.default_rng(seed).standard_normal(size + 1, np.float32)[1:].reshape(shape)


def guarded(*shape: int) -> tuple[np.ndarray, np.ndarray]:
    """An output, and the whole buffer around it: NaN on both sides."""
    size = int(np.prod(shape))
    buffer = np.full(size + 40, np.nan, np.float32)
    return buffer[20 : 20 + size].reshape(shape), buffer


def untouched(buffer: np.ndarray) -> bool:
    return bool(np.isnan(buffer[:20]).all() and np.isnan(buffer[-20:]).all())


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x.astype(np.float64)))


def activated(x: np.ndarray, kind: str, alpha: np.ndarray) -> np.ndarray:
    curves = {"identity": x, "sigmoid": sigmoid(x), "tanh": np.tanh(x.astype(np.float64))}
    curves |= {"prelu": np.where(x < 0, x * alpha, x), "dice": x * (alpha + (1 - alpha) * sigmoid(x))}
    return curves[kind]


def test_backends_are_named_best_first() -> None:
    assert nn.backends()[-1] == "portable"
    assert nn.kernels().name == nn.backends()[0]
    with pytest.raises(nn.NNError, match="'mmx'"):
        nn.kernels("mmx")


@FEW
@given(
    k=any_kernel,
    seed=seeds,
    rows=st.integers(1, 40),
    depth=st.integers(1, 90),
    columns=st.integers(1, 150),
    kind=st.sampled_from(nn.ACTIVATIONS),
    limits=st.sampled_from([(-inf, inf), (0.0, inf), (0.0, 6.0), (-1.0, 0.5)]),
)
def test_linear(
    k: nn.Kernels, seed: int, rows: int, depth: int, columns: int, kind: str, limits: tuple[float, float]
) -> None:
    x, w, b, alpha = normal(seed, rows, depth), normal(1, depth, columns), normal(2, columns), normal(3, columns)
    out, buffer = guarded(rows, columns)
    step = k.linear(out, x, k.pack(w), k.pad(b), activation=kind, alpha=alpha, low=limits[0], high=limits[1])
    nn.Program([step]).run()
    wanted = activated(np.clip(x.astype(np.float64) @ w + b, *limits), kind, alpha)
    assert np.abs(out - wanted).max() < 1e-4
    assert untouched(buffer)


@every_kernel
@pytest.mark.parametrize(("rows", "depth", "columns"), [(517, 300, 70), (211, 1000, 33), (29, 4000, 40)])
def test_linear_of_more_rows_than_stay_in_the_cache(k: nn.Kernels, rows: int, depth: int, columns: int) -> None:
    """Rows pass the panels in blocks of 192 KiB: no row is left out where one block ends, and none comes twice."""
    x, w, b = normal(0, rows, depth), normal(1, depth, columns), normal(2, columns)
    assert x.nbytes > 2 * 192 << 10
    out, buffer = guarded(rows, columns)
    nn.Program([k.linear(out, x, k.pack(w), k.pad(b))]).run()
    assert np.abs(out - (x.astype(np.float64) @ w + b)).max() < 1e-5 * depth**0.5 * np.abs(out).max()
    assert untouched(buffer)


@FEW
@given(k=any_kernel, seed=seeds, rows=st.integers(1, 20), depth=st.integers(1, 60), columns=st.integers(1, 80))
def test_linear_of_int8(k: nn.Kernels, seed: int, rows: int, depth: int, columns: int) -> None:
    """The products of the rounded weights are as exact as those of floats."""
    x, bias = normal(seed, rows, depth), normal(1, columns)
    w = np.random.default_rng(seed).integers(-127, 128, (depth, columns), np.int8)
    scales = np.abs(normal(2, columns)) + 0.01
    out, buffer = guarded(rows, columns)
    scratch = np.full(depth * k.panel, np.nan, np.float32)
    step = k.linear(out, x, k.pack(w), k.pad(bias), scales=k.pad(scales), scratch=scratch)
    nn.Program([step]).run()
    wanted = x.astype(np.float64) @ (w * scales.astype(np.float64)) + bias
    assert np.abs(out - wanted).max() < 2e-5 * 127 * depth
    assert untouched(buffer)


@every_kernel
@pytest.mark.parametrize("kind", nn.ACTIVATIONS)
def test_activations_over_the_whole_line(k: nn.Kernels, kind: str) -> None:
    x = np.concatenate([np.linspace(-100, 100, 20_001), np.logspace(-20, 0, 500), -np.logspace(-20, 0, 500)])
    x = x.astype(np.float32)[None]
    alpha = np.full(x.shape[1], 0.3, np.float32)
    out = np.empty_like(x)
    nn.Program([k.activate(out, x, activation=kind, alpha=alpha)]).run()
    wanted = activated(x, kind, alpha)
    assert np.abs(out - wanted).max() <= 1e-6 * max(1, np.abs(wanted).max())
    if kind == "tanh":
        assert (np.abs(out - wanted) <= 2e-6 * np.abs(wanted)).all()


@FEW
@given(
    k=any_kernel, seed=seeds, rows=st.integers(1, 5), columns=st.integers(1, 70), spread=st.sampled_from([1, 30, 1e4])
)
def test_softmax(k: nn.Kernels, seed: int, rows: int, columns: int, spread: float) -> None:
    x = normal(seed, rows, columns) * np.float32(spread)
    out, buffer = guarded(rows, columns)
    nn.Program([k.softmax(out, x)]).run()
    wanted = np.exp(x.astype(np.float64) - x.max(axis=1, keepdims=True))
    assert np.abs(out - wanted / wanted.sum(axis=1, keepdims=True)).max() < 2e-6
    assert untouched(buffer)


@FEW
@given(
    k=any_kernel,
    seed=seeds,
    repeats=st.integers(1, 4),
    size=st.integers(1, 50),
    kind=st.sampled_from(["add", "sub", "mul"]),
)
def test_elementwise(k: nn.Kernels, seed: int, repeats: int, size: int, kind: str) -> None:
    a, b = normal(seed, repeats * size), normal(1, size)
    out, buffer = guarded(repeats * size)
    nn.Program([k.elementwise(kind, out, a, b, low=-1, high=1)]).run()
    function = {"add": np.add, "sub": np.subtract, "mul": np.multiply}[kind]
    assert (out == np.clip(function(a, np.tile(b, repeats)), -1, 1)).all()
    assert untouched(buffer)
    nn.Program([k.elementwise(kind, a, a, b, low=-1, high=1)]).run()
    assert (a == out).all()


@FEW
@given(k=any_kernel, seed=seeds, n=st.integers(1, 3), channels=st.integers(1, 40), pixels=st.integers(1, 30))
def test_layouts_there_and_back(k: nn.Kernels, seed: int, n: int, channels: int, pixels: int) -> None:
    x = normal(seed, n, channels, pixels)
    blocked, around = guarded(k.blocked_size((n, channels, pixels, 1)))
    back, buffer = guarded(n, channels, pixels)
    shape = (n, channels, pixels)
    nn.Program([k.convert(shape, blocked, x, to_blocked=True), k.convert(shape, back, blocked, to_blocked=False)]).run()
    assert (back == x).all()
    blocks = blocked.reshape(n, -1, pixels, k.width).transpose(0, 1, 3, 2).reshape(n, -1, pixels)
    assert (blocks[:, :channels] == x).all()
    assert (blocks[:, channels:] == 0).all()
    assert untouched(buffer)
    assert untouched(around)


@FEW
@given(k=any_kernel, seed=seeds, rows=st.integers(1, 9), width=st.integers(1, 40), count=st.integers(1, 20))
def test_lookup(k: nn.Kernels, seed: int, rows: int, width: int, count: int) -> None:
    table = normal(seed, rows, width)
    index = np.random.default_rng(seed).integers(-3, rows + 3, count)
    wanted = table[np.where((index < 0) | (index >= rows), rows - 1, index)]
    small, scales = np.rint(table * 20).astype(np.int8), np.full(rows, 0.05, np.float32)
    for kind in (np.int32, np.int64):
        out, buffer = guarded(count, width)
        nn.Program([k.lookup(out, nn.Table(table), index.astype(kind))]).run()
        assert (out == wanted).all()
        assert untouched(buffer)
    nn.Program([k.lookup(out, nn.Table(small, scales), index)]).run()
    assert np.abs(out - wanted).max() < 0.026


@given(ordered=st.lists(st.integers(-(2**63), 2**63 - 1), unique=True, max_size=40), data=st.data())
def test_locate(ordered: list[int], data: st.DataObject) -> None:
    anything = st.integers(-(2**63), 2**63 - 1)
    keys = data.draw(st.lists(st.one_of(anything, st.sampled_from(ordered)) if ordered else anything, max_size=20))
    ordered = sorted(ordered)
    out, found = np.empty(len(keys), np.int64), np.empty(len(keys), np.float32)
    k = nn.kernels()
    nn.Program([k.locate(out, np.array(ordered, np.int64), np.array(keys, np.int64), found)]).run()
    assert out.tolist() == [ordered.index(key) if key in ordered else len(ordered) for key in keys]
    assert found.tolist() == [float(key in ordered) for key in keys]


@every_kernel
def test_finite_and_below(k: nn.Kernels) -> None:
    for size in range(40):
        x = np.zeros(size, np.float32)
        assert nn.all_finite(x)
        for place in range(size):
            for bad in (np.nan, np.inf, -np.inf):
                x[place] = bad
                assert not nn.all_finite(x)
            x[place] = np.finfo(np.float32).max
            assert nn.all_finite(x)
    for kind in (np.int32, np.int64):
        assert nn.all_below(np.arange(9, dtype=kind), 9)
        assert not nn.all_below(np.arange(9, dtype=kind), 8)
        assert not nn.all_below(np.array([-1], kind), 8)


def test_copies_of_rows() -> None:
    k, x, out = nn.kernels(), np.arange(12, dtype=np.float32), np.zeros(20, np.float32)
    nn.Program([k.copy(out, x, 3, 2, x_row=4, out_row=6, x_start=1, out_start=2)]).run()
    assert np.flatnonzero(out).tolist() == [2, 3, 8, 9, 14, 15]
    assert out[[2, 3, 8, 9, 14, 15]].tolist() == [1, 2, 5, 6, 9, 10]
