"""Prime fields and odd moduli: Shamir's sharing over GF(2^61 - 1), and vectors modulo any odd m < 2^64."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from native import _native
from native.arrays import plain

__all__ = ["FieldError", "Modulus", "P61", "Vector", "backends", "reconstruct", "share"]

Vector: TypeAlias = NDArray[np.uint64]

P61 = 2**61 - 1
LIMBS = 5  # of 7, 7, 7, 7 and 4 bytes: 32 bytes in all, each limb below P61


class FieldError(ValueError):
    """A word is no field element, a point carries no share, words encode no secret, or a backend is not there."""


def backends(m: int) -> tuple[str, ...]:
    """Names of the arithmetics this machine can run modulo m, best first. All give the same residues.

    "portable" serves every odd m and runs everywhere, "p61" likewise for 2**61 - 1; "avx512", "ifma" (m < 2**52) and
    "p61-avx512" take eight residues at a time. Raises FieldError.
    """
    if not isinstance(m, int) or not 3 <= m < 2**64 or m % 2 == 0:
        raise FieldError(f"modulus must be odd and in 3..2**64 - 1, not {m}")
    return tuple(_native.mod_backends(m))


def share(
    secrets: NDArray[np.uint8],
    threshold: int,
    points: Vector,
    rng: Callable[[int], bytes] = os.urandom,
    *,
    backend: str | None = None,
) -> Vector:
    """Shamir shares of each secret (Shamir 1979) over GF(2^61 - 1): any ``threshold`` give it back, fewer tell nothing.

    secrets: (S, 32) uint8. points: (N,) uint64, distinct, in 1..P61 - 1; 1 <= threshold <= N. backend: one of
    ``backends(P61)``, else the best. Returns (S, N, 5) uint64: the secret is cut into five little-endian limbs of 7, 7,
    7, 7 and 4 bytes, each the constant term of its own uniform polynomial of degree threshold - 1. Constant time in
    secrets and coefficients. Raises FieldError.
    """
    _check_points(points)
    _check_backend(backend, P61)
    if not 1 <= threshold <= points.size:
        raise FieldError(f"threshold must be in 1..{points.size} for {points.size} points, not {threshold}")
    if secrets.dtype != np.uint8 or secrets.ndim != 2 or secrets.shape[1] != 32:
        raise FieldError(f"secrets must be uint8 of shape (S, 32), not {secrets.dtype} of {secrets.shape}")
    coefficients = _uniform(len(secrets) * (threshold - 1) * LIMBS, rng)
    shares = np.empty((len(secrets), points.size, LIMBS), np.uint64)
    shaped = coefficients.reshape(len(secrets), threshold - 1, LIMBS)
    _native.shamir_share(backend, shares, plain(secrets), shaped, plain(points))
    coefficients.fill(0)
    return shares


def reconstruct(points: Vector, shares: Vector, threshold: int, *, backend: str | None = None) -> NDArray[np.uint8]:
    """Secrets from exactly ``threshold`` shares each: the polynomials' values at zero, by Lagrange, weights made once.

    points: (T,) uint64 as in :func:`share`; shares: (S, T, 5) uint64, canonical; T = threshold. Returns (S, 32) uint8.
    Wrong shares give a limb that is too long, a FieldError, but for one chance in 2^49 (or by design of whoever
    corrupted them): compare the secret with a commitment. Constant time in the shares.
    """
    _check_kind(points)
    _check_backend(backend, P61)
    if points.size != threshold:
        raise FieldError(f"threshold {threshold} takes exactly {threshold} points, not {points.size}")
    if shares.dtype != np.uint64 or shares.ndim != 3 or shares.shape[1:] != (points.size, LIMBS):
        raise FieldError(f"shares must be uint64 of shape (S, {points.size}, 5), not {shares.dtype} of {shares.shape}")
    secrets = np.empty((len(shares), 32), np.uint8)
    if not _native.shamir_reconstruct(backend, secrets, plain(points), plain(shares)):
        _check_points(points)
        if int(shares.max()) >= P61:
            raise FieldError("a share has a word that is not below 2**61 - 1")
        raise FieldError("the shares do not encode a secret: a limb is too long")
    return secrets


@dataclass(frozen=True, slots=True)
class Modulus:
    """Arithmetic on uint64 arrays of canonical residues modulo an odd m, 3 <= m < 2^64.

    By Montgomery's reduction, and for m = 2^61 - 1 by shifts. Operands broadcast as in numpy; results are new arrays.
    backend: one of ``backends(m)``, else the best. Constant time in the residues; not in m, exponents, points of
    Lagrange or shapes. Every method raises FieldError for a wrong dtype or a residue that is not below m.
    """

    m: int
    backend: str | None = None

    def __post_init__(self) -> None:
        _check_backend(self.backend, self.m)

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

    def scale(self, a: Vector, factor: int) -> Vector:
        """a * factor, one int in 0..m - 1: half the work of `mul`. Constant time in the factor too."""
        if not 0 <= factor < self.m:
            raise FieldError(f"factor must be in 0..{self.m - 1}, not {factor}")
        a = _words(a)
        out = np.empty(a.shape, np.uint64)
        if not _native.mod_scale(self.backend, out, a, factor, self.m):
            raise self._no_residue()
        return out

    def power(self, a: Vector, exponent: int) -> Vector:
        """a ** exponent, the exponent an int in 0..2**64 - 1; 0 ** 0 is 1. Variable time in the exponent."""
        if not 0 <= exponent < 2**64:
            raise FieldError(f"exponent must be in 0..2**64 - 1, not {exponent}")
        a = _words(a)
        out = np.empty(a.shape, np.uint64)
        if not _native.mod_power(self.backend, out, a, exponent, self.m):
            raise self._no_residue()
        return out

    def inverse(self, a: Vector) -> Vector:
        """1 / a: three products a residue and one inversion. FieldError when a residue shares a factor with m."""
        a = _words(a)
        out = np.empty(a.shape, np.uint64)
        if not _native.mod_inverse(self.backend, out, a, self.m):
            self._check_residues(a)
            raise FieldError(f"a residue has no inverse modulo {self.m}")
        return out

    def dot(self, a: Vector, b: Vector) -> int:
        """The sum of a * b over two vectors of one length."""
        a, b = _words(a), _words(b)
        if a.ndim != 1 or a.shape != b.shape:
            raise FieldError(f"dot takes two vectors of one length, not shapes {a.shape} and {b.shape}")
        total = _native.mod_dot(self.backend, a, b, self.m)
        if total is None:
            raise self._no_residue()
        return total

    def evaluate(self, coefficients: Vector, points: Vector) -> Vector:
        """Values of one polynomial, in the shape of the points: the sum of coefficients[k] * points ** k, by Horner.

        coefficients: (K,), from the constant term on; none is the zero polynomial.
        """
        coefficients, points = _words(coefficients), _words(points)
        if coefficients.ndim != 1:
            raise FieldError(f"coefficients must be a vector, not of shape {coefficients.shape}")
        out = np.empty(points.shape, np.uint64)
        if not _native.mod_evaluate(self.backend, out, coefficients, points, self.m):
            raise self._no_residue()
        return out

    def lagrange(self, points: Vector, at: int) -> Vector:
        """Weights of interpolation: f(at) = dot(weights, f(points)) for every f of degree below the number of points.

        points: (N,); at: an int in 0..m - 1. Returns (N,). N^2 products and one inversion; points and at are public.
        FieldError when two points are equal or their difference shares a factor with m.
        """
        points = _words(points)
        if points.ndim != 1:
            raise FieldError(f"points must be a vector, not of shape {points.shape}")
        if not 0 <= at < self.m:
            raise FieldError(f"at must be in 0..{self.m - 1}, not {at}")
        weights = np.empty(points.shape, np.uint64)
        if not _native.mod_lagrange(self.backend, weights, points, at, self.m):
            self._check_residues(points)
            raise FieldError(f"two points are equal, or their difference has no inverse, modulo {self.m}")
        return weights

    def _elementwise(self, kernel: Callable[[str | None, Any, Any, Any, int], bool], a: Vector, b: Vector) -> Vector:
        a, b = _words(a), _words(b)
        if a.shape != b.shape:
            a, b = _broadcast(a, b)
        out = np.empty(a.shape, np.uint64)
        if not kernel(self.backend, out, a, b, self.m):
            raise self._no_residue()
        return out

    def _check_residues(self, a: Vector) -> None:
        if a.size and int(a.max()) >= self.m:
            raise self._no_residue()

    def _no_residue(self) -> FieldError:
        return FieldError(f"a residue is not below the modulus {self.m}")


def _words(a: Vector) -> Vector:
    if not isinstance(a, np.ndarray | np.generic) or a.dtype != np.uint64:
        raise FieldError(f"residues must be uint64 in an array, not {getattr(a, 'dtype', type(a).__name__)}")
    return plain(a)


def _broadcast(a: Vector, b: Vector) -> tuple[Vector, Vector]:
    try:
        shape = np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        raise FieldError(f"operands of shapes {a.shape} and {b.shape} do not broadcast") from None
    return plain(np.broadcast_to(a, shape)), plain(np.broadcast_to(b, shape))


def _check_backend(backend: str | None, m: int) -> None:
    there = backends(m)
    if backend is not None and backend not in there:
        raise FieldError(f"no backend {backend!r} modulo {m} on this machine; choose one of {', '.join(there)}")


def _check_kind(points: Vector) -> None:
    if points.dtype != np.uint64 or points.ndim != 1 or points.size == 0:
        raise FieldError(f"points must be a non-empty 1-D uint64 array, not {points.dtype} of {points.shape}")


def _check_points(points: Vector) -> None:
    _check_kind(points)
    ordered = np.sort(points)
    if ordered[0] == 0 or ordered[-1] >= P61:
        raise FieldError("points must be in 1..2**61 - 2: at zero stands the secret")
    if (ordered[1:] == ordered[:-1]).any():
        raise FieldError("points must be distinct")


def _uniform(count: int, rng: Callable[[int], bytes]) -> Vector:
    """Uniform field elements: 61 random bits each, drawn again when they are all ones."""
    if count == 0:
        return np.empty(0, np.uint64)
    drawn = rng(8 * count)
    if len(drawn) != 8 * count:
        raise FieldError(f"rng gave {len(drawn)} bytes where {8 * count} were asked for")
    words: Vector = np.frombuffer(drawn, "<u8") & np.uint64(P61)
    missing = words == P61
    if missing.any():
        words[missing] = _uniform(int(missing.sum()), rng)
    return words
