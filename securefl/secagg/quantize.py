"""The only door between floats and residues: clip, round stochastically to q bits, multiply by an integer weight."""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

from native import ring
from securefl.errors import ConfigurationError, LocalProtocolError
from securefl.secagg.keys import Rng
from securefl.wire import Message


class Quantization(Message, frozen=True):
    """How a coordinate becomes an integer: [-clip, clip] onto the 2^bits - 1 levels -L..L, L = 2^(bits-1) - 1."""

    bits: Annotated[int, msgspec.Meta(ge=2, le=32)]
    clip: Annotated[float, msgspec.Meta(gt=0)]
    """Largest absolute value of a coordinate, in the unit of the update."""
    weight_max: Annotated[int, msgspec.Meta(ge=1, le=1 << 24)]
    """Largest weight; a larger one is cut to it."""

    @property
    def levels(self) -> int:
        """L: the integer that stands for `clip`."""
        return (1 << (self.bits - 1)) - 1

    def largest_cohort(self, ring_bits: int) -> int:
        """How many clients a ring carries without wrapping: n * weight_max * (2^q - 1) + 1 <= 2^b."""
        return ((1 << ring_bits) - 1) // (self.weight_max * ((1 << self.bits) - 1))

    def check(self, ring_bits: int, clients: int) -> None:
        """Raise `ConfigurationError` if a sum over `clients` could wrap."""
        if not (2 <= self.bits <= 32 and 1 <= self.weight_max <= 1 << 24):
            raise ConfigurationError(
                f"quantization: {self.bits} bits and weights up to {self.weight_max}; use 2 to 32 bits and 1 to 2^24"
            )
        if not 0 < self.clip < np.inf:
            raise ConfigurationError("clip: must be a finite number above 0")
        if self.largest_cohort(ring_bits) < clients:
            needed = (clients * self.weight_max * ((1 << self.bits) - 1)).bit_length()
            raise ConfigurationError(
                f"ring_bits: {ring_bits} carry {self.largest_cohort(ring_bits)} clients at {self.bits} quantization "
                f"bits and weights up to {self.weight_max}, not {clients}; use ring_bits={needed}"
            )


def quantize(
    values: NDArray[np.floating], weights: NDArray[np.integer], how: Quantization, rng: Rng
) -> NDArray[np.int64]:
    """Weighted integers with the weight as one more column.

    `values` (R, d), finite; `weights` (R,), integers, at least 0. Returns int64 (R, d + 1): w * round(v), w. Rounding
    is unbiased: up with probability equal to the fraction, to 2^-32, by the stream of a fresh secret from `rng`.
    """
    if values.ndim != 2 or weights.shape != values.shape[:1] or weights.dtype.kind not in "iu":
        raise LocalProtocolError(
            f"values of shape {values.shape} with weights of shape {weights.shape} and dtype {weights.dtype}"
        )
    if weights.size and weights.min() < 0:
        raise LocalProtocolError("a weight is negative")
    out = np.empty((values.shape[0], values.shape[1] + 1), np.uint64)
    reals = values if values.dtype in (np.float32, np.float64) else values.astype(np.float64)
    cut = np.minimum(weights.astype(np.uint64), np.uint64(how.weight_max)).astype(np.uint32)
    try:
        ring.quantize(out, reals, cut, clip=how.clip, levels=how.levels, key=rng(32))
    except ring.RingError as error:
        raise LocalProtocolError(f"an update is not sent: {error}") from None
    return out.view(np.int64)


def dequantize(sums: NDArray[np.int64], how: Quantization) -> NDArray[np.float64]:
    """Sums of weighted integers (the weight column left out) back in the unit of the update."""
    return sums.astype(np.float64) * (how.clip / how.levels)
