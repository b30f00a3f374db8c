"""An update as integers: what training gives, and what a client with noise makes of it before it is masked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import fsum

import numpy as np
from numpy.typing import NDArray

import dp
from securefl.crypto import Private
from securefl.errors import LocalProtocolError
from securefl.secagg import Params
from securefl.secagg.keys import Rng
from securefl.submodel.indexset import Indices
from securefl.submodel.plan import SubmodelPlan

__all__ = ["QuantizedUpdate", "noised", "padded"]

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class QuantizedUpdate(Private):
    """What training gives: `dense` int64 (D + 1,); by table the rows touched, (k,) and int64 (k, width + 1)."""

    dense: Integers
    tables: Mapping[str, tuple[Indices, Integers]]


def padded(claimed: Indices, indices: Indices, values: Integers, words: int) -> Integers:
    """An update's rows in the place of the claimed ones, zeros elsewhere: int64 (claimed, words)."""
    if values.shape != (indices.size, words) or values.dtype.kind not in "iu":
        raise LocalProtocolError(f"rows take integers of shape {(indices.size, words)}, not {values.shape}")
    places = np.searchsorted(claimed, indices)
    if indices.size and (
        places.max() >= claimed.size or (claimed[places] != indices).any() or (np.diff(indices) <= 0).any()
    ):
        raise LocalProtocolError("an update holds rows that were not claimed, or not in ascending order")
    out = np.zeros((claimed.size, words), np.int64)
    out[places] = values
    return out


def noised(
    plan: SubmodelPlan, params: Params, update: QuantizedUpdate, claimed: Mapping[str, Indices], rng: Rng
) -> QuantizedUpdate:
    """An update over all claimed rows with this client's share of noise in every number, and every count 1.

    Raises `LocalProtocolError` for an update outside the plan's ball, or one that counts by what it holds.
    """
    if plan.noise is None or update.tables.keys() != claimed.keys():
        raise LocalProtocolError("noise is for rounds that agree on some, and for updates with exactly their tables")
    of_dense, of_rows = (plan.noise.share(honest) for honest in plan.honest_shares(params))
    _check_ball(update, plan.noise.radius)
    tables = {}
    for table in plan.tables:
        rows = padded(claimed[table.name], *update.tables[table.name], table.width + 1)
        tables[table.name] = claimed[table.name], rows
    dense = _with_noise(update.dense[None, :], of_dense, rng)[0]
    return QuantizedUpdate(dense, {name: (at, _with_noise(rows, of_rows, rng)) for name, (at, rows) in tables.items()})


def _check_ball(update: QuantizedUpdate, radius: int) -> None:
    """Exactly: squares of what is at most `radius` are whole floats, and so is their sum up to far above its square."""
    parts = [update.dense[:-1], *(values[:, :-1] for _, values in update.tables.values())]
    largest = max((int(np.abs(part).max(initial=0)) for part in parts), default=0)
    squares = fsum(square for part in parts for square in np.square(part, dtype=np.float64).ravel().tolist())
    if largest > radius or squares > radius**2:
        raise LocalProtocolError(f"an update is not sent: it lies outside the round's ball of radius {radius}")
    counts = [update.dense[-1:], *(values[:, -1] for _, values in update.tables.values())]
    if any((part != 1).any() for part in counts):
        raise LocalProtocolError("an update is not sent: in a round with noise every client counts 1")


def _with_noise(values: Integers, share: dp.Skellam, rng: Rng) -> Integers:
    out = np.ones_like(values)
    numbers = values[:, :-1]
    out[:, :-1] = numbers + share.sample(numbers.size, rng).reshape(numbers.shape)
    return out
