"""Convolution, Winograd, depthwise convolution and pooling, against a plain NumPy convolution."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view

from native import nn
from securefl.inference.winograd import floats, winograd

FEW = settings(max_examples=80)
any_kernel = st.sampled_from([nn.kernels(name) for name in nn.backends()])
seeds = st.integers(0, 2**32 - 1)
sides = st.integers(1, 17)
pairs = st.tuples(st.integers(1, 4), st.integers(1, 4))


def normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def blocked(k: nn.Kernels, x: np.ndarray) -> np.ndarray:
    n, channels, height, width = x.shape
    padded = np.pad(x, ((0, 0), (0, -channels % k.width), (0, 0), (0, 0)))
    return padded.reshape(n, -1, k.width, height, width).transpose(0, 1, 3, 4, 2).copy().reshape(-1)


def planar(k: nn.Kernels, x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    n, channels, height, width = shape
    return x.reshape(n, -1, height, width, k.width).transpose(0, 1, 4, 2, 3).reshape(n, -1, height, width)[:, :channels]


def windows(x: np.ndarray, w: nn.Window, filling: float = 0.0) -> np.ndarray:
    """(n, channels, out rows, out columns, kernel rows, kernel columns)."""
    ends = [(w.out_size[i] - 1) * w.stride[i] + w.kernel[i] - w.pad[i] - w.size[i] for i in (0, 1)]
    margins = [(w.pad[i], max(0, ends[i])) for i in (0, 1)]
    padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), *margins), constant_values=filling)
    views = sliding_window_view(padded, w.kernel, axis=(2, 3))[:, :, :: w.stride[0], :: w.stride[1]]
    return views[:, :, : w.out_size[0], : w.out_size[1]]


def convolved(x: np.ndarray, weights: np.ndarray, bias: np.ndarray, w: nn.Window) -> np.ndarray:
    return np.einsum("ncyxij,fcij->nfyx", windows(x, w), weights, optimize=True) + bias[:, None, None]


@st.composite
def geometry(draw: st.DrawFn, *, square: bool = False) -> nn.Window:
    kernel = draw(pairs)
    kernel = (kernel[0], kernel[0]) if square else kernel
    stride = (1, 1) if square else draw(pairs)
    size = (draw(sides), draw(sides))
    pad = (draw(st.integers(0, kernel[0] - 1)), draw(st.integers(0, kernel[1] - 1)))
    end = (draw(st.integers(0, kernel[0] - 1)), draw(st.integers(0, kernel[1] - 1)))
    room = [size[i] + pad[i] + end[i] - kernel[i] for i in (0, 1)]
    assume(min(room) >= 0)
    out = (room[0] // stride[0] + 1, room[1] // stride[1] + 1)
    channels, filters = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    return nn.Window(draw(st.integers(1, 2)), channels, size, filters, out, kernel, stride, pad)


def shapes(w: nn.Window) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return (w.images, w.channels, *w.size), (w.images, w.out_channels, *w.out_size)


def conv_weights(k: nn.Kernels, weights: np.ndarray, lanes: int) -> np.ndarray:
    filters, channels, rows, columns = weights.shape
    padded = np.pad(weights, ((0, 0), (0, -channels % lanes), (0, 0), (0, 0)))
    split = padded.reshape(filters, -1, lanes, rows, columns).transpose(1, 3, 4, 2, 0)
    return k.pack(split.reshape(-1, filters))


def run(*steps: nn.Step) -> None:
    nn.Program(steps).run()


@FEW
@given(k=any_kernel, w=geometry(), seed=seeds, flat=st.booleans(), adds=st.booleans(), lines=st.integers(1, 3))
def test_conv(k: nn.Kernels, w: nn.Window, seed: int, flat: bool, adds: bool, lines: int) -> None:
    shape, out_shape = shapes(w)
    x, weights, bias = normal(seed, *shape), normal(1, w.out_channels, w.channels, *w.kernel), normal(2, w.out_channels)
    added = normal(3, *out_shape)
    out = np.full(k.blocked_size(out_shape), np.nan, np.float32)
    scratch = np.full(k.conv_scratch(w, planar=flat, lines=lines), np.nan, np.float32)
    run(
        k.conv(
            w,
            out,
            x if flat else blocked(k, x),
            conv_weights(k, weights, 1 if flat else k.width),
            k.pad(bias),
            scratch,
            planar=flat,
            add=blocked(k, added) if adds else None,
            low=-2.0,
            high=3.0,
        )
    )
    wanted = np.clip(convolved(x, weights, bias, w) + (added if adds else 0), -2, 3)
    assert np.abs(planar(k, out, out_shape) - wanted).max() < 1e-4
    assert np.isfinite(out).all()


@FEW
@given(
    k=any_kernel,
    w=geometry(square=True),
    seed=seeds,
    tile=st.integers(1, 6),
    tiles=st.integers(1, 9),
    adds=st.booleans(),
)
def test_winograd(k: nn.Kernels, w: nn.Window, seed: int, tile: int, tiles: int, adds: bool) -> None:
    assume(1 <= tile + w.kernel[0] - 2 <= 9)
    f = winograd(tile, w.kernel[0])
    shape, out_shape = shapes(w)
    x, weights, bias = normal(seed, *shape), normal(1, w.out_channels, w.channels, *w.kernel), normal(2, w.out_channels)
    added = normal(3, *out_shape)
    packed = k.pack_filters(weights, floats(f.filter))
    out = np.full(k.blocked_size(out_shape), np.nan, np.float32)
    scratch = np.full(k.winograd_scratch(w, f.size, tiles), np.nan, np.float32)
    run(
        k.winograd(
            w,
            out,
            blocked(k, x),
            packed,
            k.pad(bias),
            scratch,
            (floats(f.input), floats(f.output)),
            pairs=f.pairs,
            tiles=tiles,
            add=blocked(k, added) if adds else None,
            low=-inf,
        )
    )
    wanted = convolved(x, weights, bias, w) + (added if adds else 0)
    # Rounding grows with the points: 1/2 and 4 to high powers cost digits.
    tolerance = 1e-4 if f.size <= 6 else 1e-3 if f.size <= 8 else 1e-1
    assert np.abs(planar(k, out, out_shape) - wanted).max() < tolerance * max(1, np.abs(wanted).max())


@FEW
@given(
    k=any_kernel,
    seed=seeds,
    n=st.integers(1, 2),
    sides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    pixels=st.integers(1, 40),
)
def test_strassen(k: nn.Kernels, seed: int, n: int, sides: tuple[int, int], pixels: int) -> None:
    channels, filters, pixels = 2 * k.width * sides[0], 2 * k.width * sides[1], 2 * pixels
    x, w, bias = normal(seed, n, channels, pixels, 1), normal(1, channels, filters), normal(2, filters)
    out = np.full(k.blocked_size((n, filters, pixels, 1)), np.nan, np.float32)
    scratch = np.full(k.strassen_scratch(channels, filters, pixels), np.nan, np.float32)
    shape = (n, channels, filters, pixels)
    run(k.strassen(shape, out, blocked(k, x), k.pack_strassen(w), k.pad(bias), scratch, low=-1.0, high=2.0))
    wanted = np.einsum("ncpq,cf->nfpq", x.astype(np.float64), w) + bias[:, None, None]
    assert np.abs(planar(k, out, (n, filters, pixels, 1)) - np.clip(wanted, -1, 2)).max() < 1e-3


@FEW
@given(k=any_kernel, seed=seeds, filters=st.integers(1, 40), channels=st.integers(1, 20), tile=st.integers(1, 6))
def test_filters_are_transformed_and_packed(k: nn.Kernels, seed: int, filters: int, channels: int, tile: int) -> None:
    g = floats(winograd(tile, 3).filter)
    weights = normal(seed, filters, channels, 3, 3)
    wanted = np.einsum("ij,fcjk,lk->ilcf", g, weights, g).reshape(len(g) ** 2, channels, filters)
    padded = np.pad(wanted, ((0, 0), (0, -channels % k.width), (0, 0)))
    assert np.abs(k.pack_filters(weights, g) - k.pack(padded)).max() < 1e-4


@FEW
@given(k=any_kernel, seed=seeds, columns=st.integers(1, 70), row=st.integers(1, 30))
def test_rows_are_packed_in_any_order(k: nn.Kernels, seed: int, columns: int, row: int) -> None:
    rows, index = normal(seed, columns, row), np.random.default_rng(seed).integers(-2, row, 17)
    wanted = np.where(index < 0, 0, rows[:, np.maximum(index, 0)])
    assert (k.pack_rows(rows, index) == k.pack(np.ascontiguousarray(wanted.T, np.float32))).all()


@FEW
@given(k=any_kernel, w=geometry(), seed=seeds)
def test_depthwise(k: nn.Kernels, w: nn.Window, seed: int) -> None:
    w = nn.Window(w.images, w.channels, w.size, w.channels, w.out_size, w.kernel, w.stride, w.pad)
    shape, out_shape = shapes(w)
    x, weights, bias = normal(seed, *shape), normal(1, w.channels, *w.kernel), normal(2, w.channels)
    out = np.full(k.blocked_size(out_shape), np.nan, np.float32)
    lanes = blocked(k, weights[None])
    run(k.depthwise(w, out, blocked(k, x), lanes, k.pad(bias)[: len(lanes) // (w.kernel[0] * w.kernel[1])], high=1.0))
    wanted = np.einsum("ncyxij,cij->ncyx", windows(x, w), weights) + bias[:, None, None]
    assert np.abs(planar(k, out, out_shape) - np.minimum(wanted, 1)).max() < 1e-4


def between_nans(x: np.ndarray) -> np.ndarray:
    wide = np.full(x.size + 512, np.nan, np.float32)
    wide[256:-256] = x.reshape(-1)
    return wide[256:-256]


@pytest.mark.parametrize("instructions", nn.backends())
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_depthwise_lines_of_every_length(instructions: str, kernel: int, stride: int) -> None:
    """Seven outputs at a time, some twice, ends by themselves: whatever is read lies in the image."""
    k = nn.kernels(instructions)
    for width in range(1, 24):
        for pad, end in {(0, 0), (1, 0), (0, 1), (1, 1), (2, 2), (0, 4)}:
            room = width + pad + end - kernel
            out_width = room // stride + 1
            if pad >= kernel or room < 0 or (out_width - 1) * stride >= width + pad:
                continue
            w = nn.Window(1, k.width, (2, width), k.width, (2, out_width), (3, kernel), (1, stride), (1, pad))
            x, weights, bias = normal(width, 1, k.width, 2, width), normal(1, k.width, 3, kernel), normal(2, k.width)
            out = between_nans(np.zeros(k.blocked_size((1, k.width, 2, out_width)), np.float32))
            run(k.depthwise(w, out, between_nans(blocked(k, x)), blocked(k, weights[None]), bias))
            wanted = np.einsum("ncyxij,cij->ncyx", windows(x, w), weights) + bias[:, None, None]
            assert np.abs(planar(k, out, wanted.shape) - wanted).max() < 1e-4


@FEW
@given(k=any_kernel, w=geometry(), seed=seeds, kind=st.sampled_from(["max", "mean", "mean_padded"]))
def test_pool(k: nn.Kernels, w: nn.Window, seed: int, kind: str) -> None:
    w = nn.Window(w.images, w.channels, w.size, w.channels, w.out_size, w.kernel, w.stride, w.pad)
    shape, out_shape = shapes(w)
    x = normal(seed, *shape)
    out = np.full(k.blocked_size(out_shape), np.nan, np.float32)
    run(k.pool(w, out, blocked(k, x), kind))
    views = windows(x, w, -inf if kind == "max" else 0.0)
    if kind == "max":
        wanted = views.max(axis=(4, 5))
    elif kind == "mean_padded":
        wanted = views.mean(axis=(4, 5))
    else:
        wanted = views.sum(axis=(4, 5)) / windows(np.ones_like(x), w).sum(axis=(4, 5))
    assert np.abs(planar(k, out, out_shape) - wanted).max() < 1e-5


@pytest.mark.parametrize(
    "change",
    [
        {"images": 2},
        {"channels": 17},
        {"size": (9, 8)},
        {"out_channels": 40},
        {"out_size": (9, 8)},
        {"kernel": (3, 2)},
        {"pad": (3, 0)},
        {"stride": (0, 1)},
        {"images": 2**31},
        {"images": -1},
        {"channels": 2**31 - 1, "size": (2**31 - 1, 2**31 - 1)},
    ],
    ids=str,
)
def test_a_window_that_does_not_fit_its_buffers_is_refused(change: dict) -> None:
    k = nn.kernels("portable")
    given = {"images": 1, "channels": 16, "size": (8, 8), "out_channels": 16, "out_size": (8, 8)}
    given |= {"kernel": (3, 3), "stride": (1, 1), "pad": (1, 1)}
    x, weights = np.zeros(16 * 64, np.float32), np.zeros((2, 144, 8), np.float32)
    bias, scratch = np.zeros(16, np.float32), np.zeros(10_000, np.float32)
    k.conv(nn.Window(**given), np.zeros_like(x), x, weights, bias, scratch)
    with pytest.raises(nn.NNError, match=r"^conv: "):
        k.conv(nn.Window(**given | change), np.zeros_like(x), x, weights, bias, scratch)


def test_overlap_misalignment_and_read_only_buffers_are_refused() -> None:
    k = nn.kernels()
    x = np.zeros((4, 4), np.float32)
    weights, bias = k.pack(x), k.pad(x[0])
    with pytest.raises(nn.NNError, match="overlaps x"):
        k.linear(x, x, weights, bias)
    frozen = np.zeros((4, 4), np.float32)
    frozen.flags.writeable = False
    with pytest.raises((nn.NNError, BufferError)):
        k.linear(frozen, x, weights, bias)
    odd = np.frombuffer(bytearray(65), np.uint8)[1:].view(np.float32).reshape(4, 4)
    with pytest.raises(nn.NNError, match="aligned"):
        k.linear(np.zeros((4, 4), np.float32), odd, weights, bias)
    with pytest.raises(nn.NNError, match="has 20 items, not 16"):
        k.linear(np.zeros((5, 4), np.float32), x, weights, bias)
