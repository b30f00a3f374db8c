"""Inference kernels: a step is one kernel call, checked when it is made; a program runs its steps without the GIL.

Every set of kernels (`backends`) computes the same up to rounding. Buffers are C-contiguous NumPy arrays, held by the
step as long as it lives; `native/csrc/nn.h` is the contract of each kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, NewType, TypeAlias

import numpy as np
from numpy.typing import NDArray

from native import _native

__all__ = [
    "ACTIVATIONS",
    "Kernels",
    "NNError",
    "Places",
    "Program",
    "Step",
    "Table",
    "Window",
    "all_below",
    "all_finite",
    "backends",
    "kernels",
]

Array: TypeAlias = NDArray[Any]
Floats: TypeAlias = NDArray[np.float32]
Step = NewType("Step", object)

ACTIVATIONS = ("identity", "sigmoid", "tanh", "prelu", "dice")
POOLS = ("max", "mean", "mean_padded")
BINARIES = ("add", "sub", "mul")
TABLES, QUERIES = 3, 14
_BACKENDS = {name: (width, rows) for name, width, rows in _native.nn_backends()}


class NNError(ValueError):
    """An argument of a kernel is out of its range, or an array has the wrong size or dtype."""


def backends() -> tuple[str, ...]:
    """Names of the kernels this machine can run, best first; the last, "portable", is always there."""
    return tuple(_BACKENDS)


def all_finite(array: Floats) -> bool:
    """Whether no number of a C-contiguous float32 array is NaN or infinite."""
    return _native.nn_finite(array)


def all_below(array: Array, limit: int) -> bool:
    """Whether every number of a C-contiguous int32 or int64 array is in 0..limit - 1."""
    return _native.nn_below(array, limit)


@dataclass(frozen=True, slots=True)
class Window:
    """A window that slides over images (n, channels, *size) to (n, out_channels, *out_size): pairs are (rows, columns).

    `pad` is the padding at the top and at the left; at the other ends it is whatever `out_size` needs.
    """

    images: int
    channels: int
    size: tuple[int, int]
    out_channels: int
    out_size: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    pad: tuple[int, int]

    def sizes(self) -> tuple[int, ...]:
        """In the order of the C struct."""
        shapes = (self.images, self.channels, *self.size, self.out_channels, *self.out_size)
        return (*shapes, *self.kernel, *self.stride, *self.pad)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows (count, width) float32, or int8 with float32 `scales` (count,). The last row stands for absent ones."""

    rows: Array
    scales: Floats | None = None


class Program:
    """Steps in order."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = tuple(steps)
        self._compiled = _native.nn_program(self.steps)

    def run(self) -> None:
        """All steps, with the GIL released."""
        _native.nn_run(self._compiled)


class Places:
    """Where inputs go: C-contiguous arrays, and for indices the limit that they must stay below (0: none)."""

    def __init__(self, places: Sequence[tuple[Array, int]]) -> None:
        self._compiled = _native.nn_places(tuple(places))

    def feed(self, arrays: tuple[object, ...]) -> bool:
        """Copy the arrays there. False, with places half filled, unless all are contiguous, alike and valid."""
        return _native.nn_feed(self._compiled, arrays)


def kernels(name: str | None = None) -> Kernels:
    """The kernels of that name, one of `backends`, or the best. Raises NNError."""
    if name is not None and name not in _BACKENDS:
        raise NNError(f"no inference kernels {name!r} on this machine; choose one of {', '.join(_BACKENDS)}")
    name = name or backends()[0]
    return Kernels(name, *_BACKENDS[name])


@dataclass(frozen=True, slots=True)
class Kernels:
    """One instruction set. Every method makes a step and raises NNError if a buffer does not fit."""

    name: str
    width: int
    """Floats in a vector: lanes of a block of channels."""
    tile_rows: int
    """Rows of the tallest tile of a matrix product."""

    @property
    def panel(self) -> int:
        """Columns of a packed panel: two vectors."""
        return 2 * self.width

    def pack(self, matrix: Array) -> Array:
        """(..., depth, columns) as panels (..., columns / panel, depth, panel), zeros in the columns beyond."""
        *outer, depth, columns = matrix.shape
        panels = -(-columns // self.panel)
        packed = np.zeros((*outer, panels, depth, self.panel), matrix.dtype)
        whole = columns // self.panel
        split = matrix[..., : whole * self.panel].reshape(*outer, depth, whole, self.panel)
        packed[..., :whole, :, :] = np.moveaxis(split, -2, -3)
        if whole < panels:
            packed[..., whole, :, : columns - whole * self.panel] = matrix[..., whole * self.panel :]
        return packed

    def pack_rows(self, rows: Floats, index: Array) -> Floats:
        """Rows (columns, ...) as panels (columns / panel, depth, panel): depth k is item ``index[k]`` of a row.

        index: int64 (depth,); a negative one is 0.
        """
        flat = rows.reshape(len(rows), -1)
        out = np.empty((-(-len(rows) // self.panel), len(index), self.panel), np.float32)
        Program([self._step("pack", (out, flat, index), flat.shape)]).run()
        return out

    def pack_filters(self, weights: Floats, matrix: Floats) -> Floats:
        """Filters (filters, channels, kernel, kernel) transformed by Winograd's G (size, kernel), packed:

        (size^2, panels, channels in whole vectors, panel).
        """
        filters, channels, kernel, _ = weights.shape
        lanes, size = _round_up(channels, self.width), len(matrix)
        out = np.empty((size * size, -(-filters // self.panel), lanes, self.panel), np.float32)
        Program([self._step("filters", (out, weights, matrix), (filters, channels, kernel, size))]).run()
        return out

    def pad(self, vector: Array) -> Floats:
        """A vector (n,) as float32, with zeros up to whole panels."""
        return np.pad(vector.astype(np.float32, copy=False), (0, -len(vector) % self.panel))

    def blocked_size(self, shape: Sequence[int]) -> int:
        """Floats of a blocked tensor of images (n, channels, rows, columns)."""
        n, channels, rows, columns = shape
        return n * -(-channels // self.width) * self.width * rows * columns

    def linear(
        self,
        out: Floats,
        x: Floats,
        weights: Array,
        bias: Floats,
        *,
        low: float = -inf,
        high: float = inf,
        activation: str = "identity",
        alpha: Floats | None = None,
        scales: Floats | None = None,
        scratch: Floats | None = None,
    ) -> Step:
        """out (rows, columns) = activation(clamp(x (rows, depth) W + bias)); W packed, floats or int8 with `scales`."""
        sizes = (*x.shape, out.shape[1], _name(ACTIVATIONS, activation))
        return self._step("linear", (out, x, weights, bias, alpha, scales, scratch), sizes, (low, high))

    def conv(
        self,
        window: Window,
        out: Floats,
        x: Floats,
        weights: Floats,
        bias: Floats,
        scratch: Floats,
        *,
        planar: bool = False,
        add: Floats | None = None,
        low: float = -inf,
        high: float = inf,
    ) -> Step:
        """out = clamp(convolution + bias + add), blocked; x blocked, or planar."""
        sizes = (*window.sizes(), int(planar))
        return self._step("conv", (out, x, weights, bias, add, scratch), sizes, (low, high))

    def conv_scratch(self, window: Window, *, planar: bool = False, lines: int = 1) -> int:
        """Floats of scratch for strips of that many output lines."""
        lanes = 1 if planar else self.width
        blocks = -(-window.channels // lanes)
        columns = (window.out_size[1] - 1) * window.stride[1] + window.kernel[1]
        taps = _round_up(2 * blocks * window.kernel[0] * window.kernel[1], self.width)
        return taps + blocks * ((lines - 1) * window.stride[0] + window.kernel[0]) * columns * lanes

    def winograd(
        self,
        window: Window,
        out: Floats,
        x: Floats,
        weights: Floats,
        bias: Floats,
        scratch: Floats,
        matrices: tuple[Floats, Floats],
        *,
        pairs: int,
        tiles: int,
        add: Floats | None = None,
        low: float = -inf,
        high: float = inf,
    ) -> Step:
        """The same as `conv` by Winograd's F(tile, kernel): `matrices` are B^T (size, size) and A^T (tile, size)."""
        buffers = (out, x, weights, bias, add, scratch, *matrices)
        sizes = (*window.sizes(), len(matrices[1]), pairs, tiles)
        return self._step("winograd", buffers, sizes, (low, high))

    def winograd_scratch(self, window: Window, size: int, tiles: int) -> int:
        """Floats of scratch for that many tiles of size^2 at a time."""
        blocks, filters = -(-window.channels // self.width), -(-window.out_channels // self.width)
        planes = size * size * ((blocks + filters) * tiles + 2) * self.width
        return _round_up(2 * blocks, self.width) + planes + _round_up(window.out_channels, self.panel)

    def strassen(
        self,
        shape: tuple[int, int, int, int],
        out: Floats,
        x: Floats,
        weights: Floats,
        bias: Floats,
        scratch: Floats,
        *,
        low: float = -inf,
        high: float = inf,
    ) -> Step:
        """A 1x1 convolution by one level of Strassen's product; shape is (images, channels, filters, pixels)."""
        return self._step("strassen", (out, x, weights, bias, scratch), shape, (low, high))

    def strassen_scratch(self, channels: int, filters: int, pixels: int) -> int:
        """Floats of scratch."""
        taps = _round_up(2 * (channels // self.width), self.width)
        return taps + _round_up(filters // 2, self.panel) + pixels // 2 * (channels // 2)

    def pack_strassen(self, matrix: Floats) -> Floats:
        """Weights (channels, filters), both even, as the seven packed matrices that Strassen's product takes."""
        b11, b12, b21, b22 = (part for half in np.split(matrix, 2) for part in np.split(half, 2, axis=1))
        t1 = b12 - b11
        t2 = b22 - t1
        return self.pack(np.stack([b11, b21, b21 - t2, t1, t2, b22 - b12, b22]))

    def depthwise(
        self,
        window: Window,
        out: Floats,
        x: Floats,
        weights: Floats,
        bias: Floats,
        *,
        low: float = -inf,
        high: float = inf,
    ) -> Step:
        """out = clamp(depthwise convolution + bias), blocked; weights (block, *kernel, lane)."""
        return self._step("depthwise", (out, x, weights, bias), window.sizes(), (low, high))

    def pool(self, window: Window, out: Floats, x: Floats, kind: str) -> Step:
        """Maximum or mean of each window, blocked: "mean" is over what is there, "mean_padded" over all of it."""
        return self._step("pool", (out, x), (*window.sizes(), _name(POOLS, kind)))

    def elementwise(
        self, kind: str, out: Floats, a: Floats, b: Floats, *, low: float = -inf, high: float = inf
    ) -> Step:
        """out = clamp(a op b), flat; b may be shorter and recur. In place."""
        return self._step("elementwise", (out, a, b), (out.size, b.size, _name(BINARIES, kind)), (low, high))

    def activate(
        self,
        out: Floats,
        x: Floats,
        *,
        low: float = -inf,
        high: float = inf,
        activation: str = "identity",
        alpha: Floats | None = None,
    ) -> Step:
        """out = activation(clamp(x)) of (rows, columns). In place."""
        sizes = (*x.shape, _name(ACTIVATIONS, activation))
        return self._step("activate", (out, x, alpha), sizes, (low, high))

    def softmax(self, out: Floats, x: Floats) -> Step:
        """Softmax over the columns of x (rows, columns). In place."""
        return self._step("softmax", (out, x), x.shape)

    def convert(self, shape: tuple[int, int, int], out: Floats, x: Floats, *, to_blocked: bool) -> Step:
        """Between planar and blocked; shape is (images, channels, pixels)."""
        return self._step("convert", (out, x), (*shape, int(to_blocked)))

    def copy(
        self,
        out: Array,
        x: Array,
        rows: int,
        columns: int,
        *,
        x_row: int,
        out_row: int,
        x_start: int = 0,
        out_start: int = 0,
    ) -> Step:
        """Rows of 4-byte items, `x_row` and `out_row` items apart."""
        return self._step("copy", (out, x), (rows, columns, x_row, out_row, x_start, out_start))

    def lookup(self, out: Floats, table: Table, index: Array) -> Step:
        """out (count, width): the rows at int32 or int64 indices; one that is no row reads the last, the default."""
        return self._step("lookup", (out, table.rows, table.scales, index), (index.size, *table.rows.shape))

    def locate(self, out: Array, ordered: Array, keys: Array, found: Floats | None = None) -> Step:
        """out int64 = the place of each int64 key in `ordered` (ascending, distinct); where absent, its length.

        `found` float32 says for each key whether it is there, 1 or 0.
        """
        return self._step("locate", (out, ordered, keys, found), (ordered.size, keys.size))

    def attention(
        self,
        pooled: Floats,
        total: Floats | None,
        scratch: Floats,
        query: Floats,
        mask: Floats,
        weights: Sequence[Floats],
        tables: Sequence[tuple[Table, Array]],
        *,
        hidden: tuple[int, int],
        last_bias: float,
        scale: float,
        skip: bool = True,
        mean_of_empty: bool = False,
    ) -> Step:
        """DIN's attention, factored: pooled and total (samples, width); mask (samples, history).

        `weights` are Wq, Wk, b1, W2, b2, w3, packed and padded to panels; with each of `tables` its indices (samples,
        history).
        """
        absent = (None, None, None)
        parts = [(table.rows, table.scales, index) for table, index in tables]
        buffers = (pooled, total, scratch, query, mask, *weights, *sum([*parts, *[absent] * (TABLES - len(parts))], ()))
        shapes = [shape for table, _ in tables for shape in table.rows.shape] + [0, 0] * (TABLES - len(parts))
        sizes = (*mask.shape, query.shape[1], *hidden, int(skip), int(mean_of_empty), len(parts), *shapes)
        return self._step("attention", buffers, sizes, (last_bias, scale))

    def attention_scratch(self, history: int, width: int, hidden: tuple[int, int]) -> int:
        """Floats of scratch for one sample."""
        wide, first, second = (_round_up(size, self.width) for size in (width, *hidden))
        return (
            wide
            + 2 * self.width
            + history * (2 * wide + first + second)
            + 2 * _round_up(history, self.width)
            + QUERIES * first
        )

    def _step(
        self, kind: str, buffers: tuple[Array | None, ...], sizes: Sequence[int], numbers: tuple[float, ...] = ()
    ) -> Step:
        try:
            return Step(_native.nn_step(self.name, kind, buffers, tuple(sizes), numbers))
        except (ValueError, OverflowError) as error:
            raise NNError(f"{kind}: {error}") from None


def _name(names: tuple[str, ...], name: str) -> int:
    if name not in names:
        raise NNError(f"{name!r} is none of {', '.join(names)}")
    return names.index(name)


def _round_up(count: int, unit: int) -> int:
    return -(-count // unit) * unit
