"""Inference kernels: a step is one kernel call, checked when it is made; a program runs its steps without the GIL.

Every set of kernels (`backends`) computes the same up to rounding. Buffers are C-contiguous NumPy arrays, held by the
step as long as it lives; `native/csrc/nn.h` is the contract of each kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from native import _native
from native.nn_images import ImageKernels
from native.nn_steps import MAX_THREADS, Array, Floats, NNError, Pool, Program, Step, Table, Window, index_of, round_up

__all__ = [
    "ACTIVATIONS",
    "MAX_THREADS",
    "Floats",
    "Kernels",
    "NNError",
    "Places",
    "Pool",
    "Program",
    "Step",
    "Table",
    "Window",
    "all_below",
    "all_finite",
    "backends",
    "kernels",
]

ACTIVATIONS = ("identity", "sigmoid", "tanh", "prelu", "dice")
BINARIES = ("add", "sub", "mul")
TABLES, QUERIES = 3, 14
_BACKENDS = {name: (width, rows) for name, width, rows in _native.nn_backends()}


def backends() -> tuple[str, ...]:
    """Names of the kernels this machine can run, best first; the last, "portable", is always there."""
    return tuple(_BACKENDS)


def all_finite(array: Floats) -> bool:
    """Whether no number of a C-contiguous float32 array is NaN or infinite."""
    return _native.nn_finite(array)


def all_below(array: Array, limit: int) -> bool:
    """Whether every number of a C-contiguous int32 or int64 array is in 0..limit - 1."""
    return _native.nn_below(array, limit)


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
class Kernels(ImageKernels):
    """One instruction set. Every method makes a step and raises NNError if a buffer does not fit."""

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
        sizes = (*x.shape, out.shape[1], index_of(ACTIVATIONS, activation))
        return self._step("linear", (out, x, weights, bias, alpha, scales, scratch), sizes, (low, high))

    def elementwise(
        self, kind: str, out: Floats, a: Floats, b: Floats, *, low: float = -inf, high: float = inf
    ) -> Step:
        """out = clamp(a op b), flat; b may be shorter and recur. In place."""
        return self._step("elementwise", (out, a, b), (out.size, b.size, index_of(BINARIES, kind)), (low, high))

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
        sizes = (*x.shape, index_of(ACTIVATIONS, activation))
        return self._step("activate", (out, x, alpha), sizes, (low, high))

    def softmax(self, out: Floats, x: Floats) -> Step:
        """Softmax over the columns of x (rows, columns). In place."""
        return self._step("softmax", (out, x), x.shape)

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
        wide, first, second = (round_up(size, self.width) for size in (width, *hidden))
        return (
            wide
            + 2 * self.width
            + history * (2 * wide + first + second)
            + 2 * round_up(history, self.width)
            + QUERIES * first
        )
