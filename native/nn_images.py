"""The kernels that work on images: convolution by several algorithms, pooling, layouts."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np

from native.nn_steps import Floats, Program, Step, StepMaker, Window, index_of, round_up

__all__ = ["ImageKernels"]

POOLS = ("max", "mean", "mean_padded")


@dataclass(frozen=True, slots=True)
class ImageKernels(StepMaker):
    """Every method makes a step and raises NNError if a buffer does not fit."""

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
        taps = round_up(2 * blocks * window.kernel[0] * window.kernel[1], self.width)
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
        return round_up(2 * blocks, self.width) + planes + round_up(window.out_channels, self.panel)

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
        taps = round_up(2 * (channels // self.width), self.width)
        return taps + round_up(filters // 2, self.panel) + pixels // 2 * (channels // 2)

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
        return self._step("pool", (out, x), (*window.sizes(), index_of(POOLS, kind)))

    def convert(self, shape: tuple[int, int, int], out: Floats, x: Floats, *, to_blocked: bool) -> Step:
        """Between planar and blocked; shape is (images, channels, pixels)."""
        return self._step("convert", (out, x), (*shape, int(to_blocked)))

    def pack_filters(self, weights: Floats, matrix: Floats) -> Floats:
        """Filters (filters, channels, kernel, kernel) transformed by Winograd's G (size, kernel), packed:

        (size^2, panels, channels in whole vectors, panel).
        """
        filters, channels, kernel, _ = weights.shape
        lanes, size = round_up(channels, self.width), len(matrix)
        out = np.empty((size * size, -(-filters // self.panel), lanes, self.panel), np.float32)
        Program([self._step("filters", (out, weights, matrix), (filters, channels, kernel, size))]).run()
        return out

    def pack_strassen(self, matrix: Floats) -> Floats:
        """Weights (channels, filters), both even, as the seven packed matrices that Strassen's product takes."""
        b11, b12, b21, b22 = (part for half in np.split(matrix, 2) for part in np.split(half, 2, axis=1))
        t1 = b12 - b11
        t2 = b22 - t1
        return self.pack(np.stack([b11, b21, b21 - t2, t1, t2, b22 - b12, b22]))
