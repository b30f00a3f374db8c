"""Prime fields and odd moduli: Shamir's sharing over GF(2^61 - 1), and vectors modulo any odd m < 2^64."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from native import _native

__all__ = ["FieldError", "Modulus", "P61", "Vector", "reconstruct", "share"]

Vector: TypeAlias = NDArray[np.uint64]

P61 = 2**61 - 1
LIMBS = 5  # of 7, 7, 7, 7 and 4 bytes: 32 bytes in all, each limb below P61
_LIMB_BYTES = 7
_LIMB_BOUNDS = np.array([2**56] * 4 + [2**32], np.uint64)


class FieldError(ValueError):
    """A word is no field element, a point cannot carry a share, or words do not encode a secret."""


def share(
    secrets: NDArray[np.uint8],
    threshold: int,
    points: Vector,
    rng: Callable[[int], bytes] = os.urandom,
) -> Vector:
    """Shamir shares of each secret (Shamir 1979) over GF(2^61 - 1): any ``threshold`` give it back, fewer tell nothing.

    secrets: (S, 32) uint8. points: (N,) uint64, distinct, in 1..P61 - 1; 1 <= threshold <= N.
    Returns (S, N, 5) uint64: the secret is cut into five little-endian limbs of 7, 7, 7, 7 and 4 bytes, each the
    constant term of its own uniform polynomial of degree threshold - 1. Constant time in secrets and coefficients.
    Raises FieldError.
    """
    _check_points(points)
    if not 1 <= threshold <= points.size:
        raise FieldError(f"threshold must be in 1..{points.size} for {points.size} points, not {threshold}")
    if secrets.dtype != np.uint8 or secrets.ndim != 2 or secrets.shape[1] != 32:
        raise FieldError(f"secrets must be uint8 of shape (S, 32), not {secrets.dtype} of {secrets.shape}")
    coefficients = np.empty((len(secrets), threshold, LIMBS), np.uint64)
    coefficients[:, 0] = _to_limbs(secrets)
    coefficients[:, 1:] = _uniform((len(secrets), threshold - 1, LIMBS), rng)
    powers = np.empty((points.size, threshold), np.uint64)
    shares = np.empty((len(secrets), points.size, LIMBS), np.uint64)
    _native.p61_powers(powers, _plain(points))
    _native.p61_combine(shares, powers, coefficients)
    coefficients.fill(0)
    return shares


def reconstruct(points: Vector, shares: Vector, threshold: int) -> NDArray[np.uint8]:
    """Secrets from exactly ``threshold`` shares each: the polynomials' values at zero, by Lagrange.

    points: (T,) uint64 as in :func:`share`; shares: (S, T, 5) uint64, canonical; T = threshold. Returns (S, 32) uint8.
    Wrong shares give a limb that is too long, a FieldError, but for one chance in 2^49 (or by design of whoever
    corrupted them): compare the secret with a commitment. Constant time in the shares.
    """
    _check_points(points)
    if points.size != threshold:
        raise FieldError(f"threshold {threshold} takes exactly {threshold} points, not {points.size}")
    if shares.dtype != np.uint64 or shares.ndim != 3 or shares.shape[1:] != (points.size, LIMBS):
        raise FieldError(f"shares must be uint64 of shape (S, {points.size}, 5), not {shares.dtype} of {shares.shape}")
    if shares.size and int(shares.max()) >= P61:
        raise FieldError("a share has a word that is not below 2**61 - 1")
    weights = np.empty(points.size, np.uint64)
    limbs = np.empty((len(shares), 1, LIMBS), np.uint64)
    _native.p61_weights(weights, _plain(points))
    _native.p61_combine(limbs, weights[None], _plain(shares))
    return _from_limbs(limbs[:, 0])


@dataclass(frozen=True, slots=True)
class Modulus:
    """Arithmetic on uint64 arrays of canonical residues modulo an odd m, 3 <= m < 2^64, by Montgomery's reduction.

    Operands broadcast as in numpy; results are new arrays. Constant time in the residues, not in m or an exponent.
    Every method raises FieldError for a wrong dtype or a residue that is not below m.
    """

    m: int

    def __post_init__(self) -> None:
        if not 3 <= self.m < 2**64 or self.m % 2 == 0:
            raise FieldError(f"modulus must be odd and in 3..2**64 - 1, not {self.m}")

    def add(self, a: Vector, b: Vector) -> Vector:
        """a + b."""
        return self._elementwise(_native.mod_add, a, b)

    def sub(self, a: Vector, b: Vector) -> Vector:
        """a - b."""
        return self._elementwise(_native.mod_sub, a, b)

    def mul(self, a: Vector, b: Vector) -> Vector:
        """a * b."""
        return self._elementwise(_native.mod_mul, a, b)

    def neg(self, a: Vector) -> Vector:
        """-a."""
        return self.sub(np.zeros((), np.uint64), a)

    def power(self, a: Vector, exponent: int) -> Vector:
        """a ** exponent, the exponent an int in 0..2**64 - 1; 0 ** 0 is 1. Variable time in the exponent."""
        if not 0 <= exponent < 2**64:
            raise FieldError(f"exponent must be in 0..2**64 - 1, not {exponent}")
        a = self._residues(a)
        out = np.empty_like(a)
        _native.mod_power(out.reshape(-1), a.reshape(-1), exponent, self.m)
        return out

    def inverse(self, a: Vector) -> Vector:
        """1 / a: one inversion and three products per residue. FieldError when a residue shares a factor with m."""
        a = self._residues(a)
        out = np.empty_like(a)
        if not _native.mod_inverse(out.reshape(-1), a.reshape(-1), self.m):
            raise FieldError(f"a residue has no inverse modulo {self.m}")
        return out

    def dot(self, a: Vector, b: Vector) -> int:
        """The sum of a * b over two vectors of one length, reduced once."""
        a, b = self._residues(a), self._residues(b)
        if a.ndim != 1 or a.shape != b.shape:
            raise FieldError(f"dot takes two vectors of one length, not shapes {a.shape} and {b.shape}")
        return _native.mod_dot(a, b, self.m)

    def _elementwise(self, kernel: Callable[[Any, Any, Any, int], None], a: Vector, b: Vector) -> Vector:
        a, b = self._residues(a), self._residues(b)
        try:
            a, b = (_plain(x) for x in np.broadcast_arrays(a, b))
        except ValueError:
            raise FieldError(f"operands of shapes {a.shape} and {b.shape} do not broadcast") from None
        out = np.empty(a.shape, np.uint64)
        kernel(out.reshape(-1), a.reshape(-1), b.reshape(-1), self.m)
        return out

    def _residues(self, a: Vector) -> Vector:
        if a.dtype != np.uint64:
            raise FieldError(f"residues must be uint64, not {a.dtype}")
        if a.size and int(a.max()) >= self.m:
            raise FieldError(f"a residue is not below the modulus {self.m}")
        return _plain(a)


def _plain(array: Vector) -> Vector:
    """C-contiguous and aligned, copied only when it is not."""
    return np.require(array, requirements=["C", "A"])


def _check_points(points: Vector) -> None:
    if points.dtype != np.uint64 or points.ndim != 1 or points.size == 0:
        raise FieldError(f"points must be a non-empty 1-D uint64 array, not {points.dtype} of {points.shape}")
    ordered = np.sort(points)
    if ordered[0] == 0 or ordered[-1] >= P61:
        raise FieldError("points must be in 1..2**61 - 2: at zero stands the secret")
    if (ordered[1:] == ordered[:-1]).any():
        raise FieldError("points must be distinct")


def _uniform(shape: tuple[int, ...], rng: Callable[[int], bytes]) -> Vector:
    """Uniform field elements: 61 random bits each, drawn again when they are all ones."""
    words = np.empty(shape, np.uint64)
    missing = np.ones(shape, bool)
    while count := int(missing.sum()):
        drawn = rng(8 * count)
        if len(drawn) != 8 * count:
            raise FieldError(f"rng gave {len(drawn)} bytes where {8 * count} were asked for")
        words[missing] = np.frombuffer(drawn, "<u8") & np.uint64(P61)
        missing = words == P61
    return words


def _to_limbs(secrets: NDArray[np.uint8]) -> Vector:
    """(S, 32) bytes -> (S, 5) words."""
    padded = np.zeros((len(secrets), LIMBS, 8), np.uint8)
    padded[:, :4, :_LIMB_BYTES] = secrets[:, :28].reshape(-1, 4, _LIMB_BYTES)
    padded[:, 4, :4] = secrets[:, 28:]
    return padded.view("<u8")[..., 0].astype(np.uint64)


def _from_limbs(limbs: Vector) -> NDArray[np.uint8]:
    """(S, 5) words -> (S, 32) bytes."""
    if (limbs >= _LIMB_BOUNDS).any():
        raise FieldError("the shares do not encode a secret: a limb is too long")
    padded = limbs.astype("<u8").view(np.uint8).reshape(-1, LIMBS, 8)
    return np.concatenate([padded[:, :4, :_LIMB_BYTES].reshape(-1, 28), padded[:, 4, :4]], axis=1)
