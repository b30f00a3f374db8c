"""What kernels are called with: steps, programs, and buffers as the kernels read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NewType, TypeAlias

import numpy as np
from numpy.typing import NDArray

from native import _native

__all__ = ["MAX_THREADS", "Array", "Floats", "NNError", "Pool", "Program", "Step", "StepMaker", "Table", "Window"]

MAX_THREADS = 64
SCRATCH_UNIT = 16

Array: TypeAlias = NDArray[Any]
Floats: TypeAlias = NDArray[np.float32]
Step = NewType("Step", object)


class NNError(ValueError):
    """An argument of a kernel is out of its range, or an array has the wrong size or dtype."""


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


class Pool:
    """Threads for the parts of steps, the caller's own among them; they sleep until a program runs.

    They start with the first such run, and end with the pool and its programs. A child of fork() starts its own. Raises
    NNError unless `threads` is in 1..MAX_THREADS.
    """

    def __init__(self, threads: int) -> None:
        if not 1 <= threads <= MAX_THREADS:
            raise NNError(f"threads must be in 1..{MAX_THREADS}, not {threads}")
        self.threads = threads
        self._compiled = _native.nn_pool(threads)

    def close(self) -> None:
        """End the threads; another run starts them again."""
        _native.nn_close(self._compiled)


class Program:
    """Steps in order. With a pool, the parts of one step run side by side, and the next step waits for all of them."""

    def __init__(self, steps: Sequence[Step], pool: Pool | None = None) -> None:
        self.steps = tuple(steps)
        self._compiled = _native.nn_program(self.steps, pool and pool._compiled)

    def run(self) -> None:
        """All steps, with the GIL released."""
        _native.nn_run(self._compiled)


@dataclass(frozen=True, slots=True)
class StepMaker:
    """One instruction set: how it wants weights, and how a step of it is made."""

    name: str
    width: int
    """Floats in a vector: lanes of a block of channels."""
    tile_rows: int
    """Rows of the tallest tile of a matrix product."""
    parts: int = 1
    """Into how many parts steps are cut, for threads. The result is the same, bit for bit."""

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

    def pad(self, vector: Array) -> Floats:
        """A vector (n,) as float32, with zeros up to whole panels."""
        return np.pad(vector.astype(np.float32, copy=False), (0, -len(vector) % self.panel))

    def scratch_of_all(self, floats: int) -> int:
        """Floats of scratch of all parts of a step, when one takes so many."""
        return floats if self.parts == 1 else self.parts * round_up(floats, SCRATCH_UNIT)

    def blocked_size(self, shape: Sequence[int]) -> int:
        """Floats of a blocked tensor of images (n, channels, rows, columns)."""
        n, channels, rows, columns = shape
        return n * -(-channels // self.width) * self.width * rows * columns

    def _step(
        self, kind: str, buffers: tuple[Array | None, ...], sizes: Sequence[int], numbers: tuple[float, ...] = ()
    ) -> Step:
        try:
            return Step(_native.nn_step(self.name, kind, buffers, tuple(sizes), numbers, self.parts))
        except (ValueError, OverflowError) as error:
            raise NNError(f"{kind}: {error}") from None


def index_of(names: tuple[str, ...], name: str) -> int:
    if name not in names:
        raise NNError(f"{name!r} is none of {', '.join(names)}")
    return names.index(name)


def round_up(count: int, unit: int) -> int:
    return -(-count // unit) * unit
