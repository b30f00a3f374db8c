"""What work costs on this machine: a few rates, measured once, or typical ones."""

from __future__ import annotations

import msgspec

from native.nn import Kernels

__all__ = ["Rates", "typical"]


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds for the pieces that algorithms are made of, on one core."""

    product: tuple[float, ...]
    """Of one multiplication in a matrix product whose tiles are 1, 2, ... rows high."""
    weight: float
    """Of a byte of weights that no cache holds."""
    moved: float
    """Of a byte that is written once and read once, in the cache."""
    transformed: float
    """Of one multiplication in Winograd's transforms."""
    exponential: float
    """Of one sigmoid, tanh or exponential."""
    step: float
    """Of starting a kernel."""

    def rows(self, rows: int) -> float:
        """Seconds of a multiplication when a product has that many rows: tiles are of nearly equal height."""
        tiles = -(-rows // len(self.product))
        return self.product[max(1, rows // tiles) - 1]


def typical(kernels: Kernels) -> Rates:
    """Of a core at 3 GHz that starts two vector multiplications a cycle, when tiles are high enough to feed it."""
    peak = 1 / (2 * kernels.width * 3e9)
    heights = range(1, kernels.tile_rows + 1)
    return Rates(
        product=tuple(peak * max(1.15, (height + 2) / (2 * height), 4 / height) for height in heights),
        weight=5e-11,
        moved=3e-11,
        transformed=2 * peak,
        exponential=40 * peak,
        step=1e-7,
    )
