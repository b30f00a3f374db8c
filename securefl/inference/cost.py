"""What work costs on this machine: a few rates, from a calibration or from an ordinary machine."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Rates"]


@dataclass(frozen=True, slots=True)
class Rates:
    """Seconds for the pieces that algorithms are made of, on one core."""

    product: tuple[float, ...] = (16e-12, 8.5e-12, 6e-12, 5.2e-12, 4.9e-12, 4.7e-12)
    """Of one multiplication in a matrix product whose tiles are 1, 2, ... rows high (two panels' vectors wide)."""
    weight: float = 2.5e-11
    """Of a byte of weights that no cache holds."""
    moved: float = 3e-11
    """Of a byte that is read and written once, in the cache."""
    transformed: float = 1.2e-11
    """Of one multiplication in Winograd's transforms."""
    exponential: float = 4e-10
    """Of one sigmoid, tanh or exponential."""
    step: float = 1e-7
    """Of starting a kernel."""

    def rows(self, rows: int) -> float:
        """Seconds of a multiplication when a product has that many rows: tiles are of nearly equal height."""
        tallest = len(self.product)
        tiles = -(-rows // tallest)
        return self.product[max(1, rows // tiles) - 1]
