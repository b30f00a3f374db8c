"""Which encoding moves the fewest bytes: a direct bitmap, or one of the Bloom filters that meet the targets."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from math import exp, expm1, isfinite

import bloom
from psu.errors import PlanError
from psu.plan import KINDS, MAX_BITS, MAX_CELLS, MIN_BITS, Kind, UnionPlan, cell_loss

__all__ = ["LOSS_TARGET", "plan_union"]

LOSS_TARGET = Fraction(1, 255)
"""A bitmap of 8-bit cells: an index with two holders is missed once in 255 rounds."""


def plan_union(
    universe: int,
    expected_union: int,
    *,
    clients: int,
    false_positive_rate: float = 0.01,
    loss_target: Fraction | float = LOSS_TARGET,
    bytes_per_index: float = 2.0,
    kind: Kind | None = None,
    bits: int | None = None,
) -> UnionPlan:
    """The plan with the fewest bytes per client, `UnionPlan.bytes_total(bytes_per_index)`, that meets both targets.

    `universe`: indices are 0 to universe - 1. `expected_union`: distinct indices all clients hold together.
    `clients`: the most that add their vectors. `false_positive_rate`: the highest accepted; a lower one is taken where
    it saves bytes. `loss_target`: the highest accepted probability that a round misses an index. `bytes_per_index`:
    what one more index costs a client after decoding: its place in the compressed union (about 2) and, where claimed,
    its row. `kind` and `bits` force a choice. Raises PlanError, which names the setting, for impossible wishes.
    """
    _check_targets(false_positive_rate, loss_target, bytes_per_index, kind, bits)
    width = partial(_width, loss_target=loss_target, bits=bits)
    if width(1) is None:  # more hashes lose more: no filter does better
        raise PlanError(_too_narrow(loss_target, bits))
    make = partial(UnionPlan, universe=universe, expected_union=expected_union, clients=clients)
    make(kind="filter", cells=1, bits=MIN_BITS, hashes=1)  # refuses impossible sizes by name
    plans: list[UnionPlan] = []
    if kind != "filter":
        plans += _bitmaps(make, universe, width)
    if kind != "bitmap":
        plans += _filters(make, expected_union, false_positive_rate, width, universe * bytes_per_index)
    if not plans:
        raise PlanError(_too_large(universe, expected_union, false_positive_rate, kind))
    return min(plans, key=lambda plan: plan.bytes_total(bytes_per_index))


def _bitmaps(make: Callable[..., UnionPlan], universe: int, width: Callable[[int], int | None]) -> Iterator[UnionPlan]:
    if universe <= MAX_CELLS:
        yield make(kind="bitmap", cells=universe, bits=width(1), hashes=1)


def _filters(
    make: Callable[..., UnionPlan], keys: int, rate: float, width: Callable[[int], int | None], price: float
) -> Iterator[UnionPlan]:
    """For each number of hashes the cheapest filter that is at most half full and meets the rate.

    `price` is what it costs in bytes if all of the universe is a false positive: below a rate of 1 / price nothing is
    left to save.
    """
    for hashes in range(1, bloom.MAX_HASHES + 1):
        bits, target = width(hashes), min(rate, 2.0**-hashes)
        if bits and bloom.false_positive_rate(MAX_CELLS, hashes, keys) <= target:
            fewest = bloom.optimal_cells(keys, target, hashes)
            cells = _cheapest(fewest, keys, hashes, bits, price)
            yield make(kind="filter", cells=cells, bits=bits, hashes=hashes)
        if target * price < 1:
            return


def _cheapest(fewest: int, keys: int, hashes: int, bits: int, price: float) -> int:
    """The size, no less than `fewest`, at which one more cell costs as much as the false positives it saves.

    By the usual formula, whose slope falls as a filter grows from half full.
    """

    def saved(cells: int) -> float:
        load = hashes * keys / cells
        return price * hashes * load / cells * exp(-load) * float((-expm1(-load)) ** (hashes - 1))

    sizes = range(fewest, MAX_CELLS)
    return fewest + bisect_left(sizes, True, key=lambda cells: saved(cells) <= bits / 8)


def _width(hashes: int, loss_target: Fraction | float, bits: int | None) -> int | None:
    """The fewest bits (or `bits`, if they do) with which an index in `hashes` cells is lost rarely enough."""
    widths = range(MIN_BITS, MAX_BITS + 1) if bits is None else (bits,)
    return next((w for w in widths if 1 - (1 - cell_loss(w, 2)) ** hashes <= loss_target), None)


def _check_targets(
    rate: float, loss_target: Fraction | float, bytes_per_index: float, kind: Kind | None, bits: int | None
) -> None:
    if not 0 < rate < 1:
        raise PlanError(f"false_positive_rate={rate} must lie between 0 and 1, both excluded")
    if not 0 < loss_target < 1:
        raise PlanError(f"loss_target={loss_target} must lie between 0 and 1, both excluded")
    if not (isfinite(bytes_per_index) and bytes_per_index >= 0):
        raise PlanError(f"bytes_per_index={bytes_per_index} must be finite and not negative")
    if kind not in (None, *KINDS):
        raise PlanError(f"kind must be one of {', '.join(KINDS)}, or None to choose")
    if bits is not None and not MIN_BITS <= bits <= MAX_BITS:
        raise PlanError(f"bits={bits} must be {MIN_BITS} to {MAX_BITS}, or None to choose")


def _too_narrow(loss_target: Fraction | float, bits: int | None) -> str:
    needed = _width(1, loss_target, None)
    if needed is None:
        least = 1 / (2**MAX_BITS - 1)
        return f"loss_target={loss_target} needs cells of more than {MAX_BITS} bits; use {least:.3g} or more"
    return f"bits={bits} is too narrow for loss_target={loss_target}; use bits={needed} or more, or raise loss_target"


def _too_large(universe: int, expected_union: int, rate: float, kind: Kind | None) -> str:
    if kind == "bitmap":
        return f"universe={universe} needs more than {MAX_CELLS} cells; use kind='filter'"
    return (
        f"expected_union={expected_union} at false_positive_rate={rate} needs more than {MAX_CELLS} cells; "
        "expect fewer, or accept a higher rate"
    )
