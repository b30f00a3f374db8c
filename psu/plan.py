"""What all parties of a private set union agree on: the cells, their width, and what may go wrong how often."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from fractions import Fraction
from typing import Literal

from bloom import MAX_HASHES, false_positive_rate
from psu.errors import PlanError

__all__ = ["Kind", "MAX_UNIVERSE", "MAX_CELLS", "MAX_CLIENTS", "MIN_BITS", "MAX_BITS", "UnionPlan"]

Kind = Literal["bitmap", "filter"]
KINDS: tuple[Kind, ...] = ("bitmap", "filter")

MAX_UNIVERSE = 2**36
"""Decoding tests every index: half an hour at this size."""
MAX_CELLS = 2**28
"""A client holds 4 bytes per cell."""
MAX_CLIENTS = 2**16
"""Far above any cohort that adds its vectors in one session."""
MIN_BITS, MAX_BITS = 2, 32
"""Width of a cell. In one bit, two holders would always cancel."""

VERSION = 1
WIRE = struct.Struct("<BBQQIIBB")  # version, kind, then the other fields in order


@dataclass(frozen=True)
class UnionPlan:
    """An encoding of index sets into residues modulo 2^bits, one per cell. Raises PlanError.

    A "bitmap" has one cell for each index of the universe; a "filter" is a Bloom filter with `hashes` cells per index.
    A cell is 0 where absent and uniform in [1, 2^bits) where present, so a sum shows "zero" or "not zero" and, given
    not zero, is uniform whatever the number of holders (docs: protocol, section 3).
    """

    kind: Kind
    universe: int
    """Indices are 0 to universe - 1."""
    expected_union: int
    clients: int
    """Largest number of clients that add their vectors."""
    cells: int
    bits: int
    hashes: int
    """Cells per index; 1 for a bitmap."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise PlanError(f"kind must be one of {', '.join(KINDS)}")
        _check_range("universe", self.universe, 1, MAX_UNIVERSE)
        _check_range("expected_union", self.expected_union, 1, self.universe)
        _check_range("clients", self.clients, 2, MAX_CLIENTS)
        _check_range("cells", self.cells, 1, MAX_CELLS)
        _check_range("bits", self.bits, MIN_BITS, MAX_BITS)
        _check_range("hashes", self.hashes, 1, MAX_HASHES)
        if self.kind == "bitmap" and (self.cells, self.hashes) != (self.universe, 1):
            raise PlanError("a bitmap has cells = universe and hashes = 1; use kind='filter' for anything else")

    @property
    def bytes_up(self) -> int:
        """Bytes of one client's packed vector."""
        return -(-self.cells * self.bits // 8)

    @property
    def bytes_down(self) -> float:
        """Expected bytes of the announced union: its indices, spread evenly, as gaps or as a bitmap.

        A gap takes one byte more for each power of 128 that it reaches (docs: derivations, section 11).
        """
        indices = self.expected_union + self.expected_false
        absent = 1 - indices / self.universe
        gaps = indices * (1 + sum(math.pow(absent, 128**more) for more in range(1, 6)))
        return 1 + min(gaps, -(-self.universe // 8))

    @property
    def false_positive_rate(self) -> float:
        """Exact P[an index nobody holds is decoded], when the union has its expected size."""
        return 0.0 if self.kind == "bitmap" else false_positive_rate(self.cells, self.hashes, self.expected_union)

    @property
    def expected_false(self) -> float:
        """Expected number of decoded indices that nobody holds."""
        return (self.universe - self.expected_union) * self.false_positive_rate

    def bytes_total(self, bytes_per_index: float) -> float:
        """Bytes one client moves because of the plan: its vector up, and what each false index costs it later."""
        return self.bytes_up + self.expected_false * bytes_per_index

    def loss_probability(self, holders: int) -> Fraction:
        """P[the round misses an index that `holders` clients hold], 1 <= holders <= clients.

        Exact for a bitmap. For a filter the least favourable case: other indices may put further clients into each of
        its `hashes` cells, so each is lost with the largest probability among holders..clients occupants.
        """
        _check_range("holders", holders, 1, self.clients)
        if self.kind == "bitmap":
            return cell_loss(self.bits, holders)
        worst = min(holders + holders % 2, self.clients)  # even counts cancel best, and fewer better than more
        return 1 - (1 - cell_loss(self.bits, worst)) ** self.hashes

    @property
    def worst_loss(self) -> Fraction:
        """The largest `loss_probability`: that of an index with two holders."""
        return self.loss_probability(2)

    def expected_lost(self, holders: Mapping[int, int]) -> float:
        """Expected number of indices a round misses. `holders[x]` = how many indices are held by exactly x clients.

        Exact for a bitmap. For a filter, cells are drawn independently and what else falls into an index's cells is
        taken to be of other clients, which is slightly more than the truth.
        """
        for clients in holders:
            _check_range("holders", clients, 1, self.clients)
        r, landing = 1 << self.bits, 0.0 if self.kind == "bitmap" else 1 - (1 - 1 / self.cells) ** self.hashes
        # P[x residues cancel] = (1 - turn^(x - 1)) / r: what else lands in a cell counts by the mean of turn^occupants.
        turn = -1 / (r - 1)
        others = math.prod(_turned(landing, turn, x) ** count for x, count in holders.items())
        cancelled = {x: (1 - turn ** (x - 1) * others / _turned(landing, turn, x)) / r for x in holders}
        return math.fsum(count * (1 - (1 - cancelled[x]) ** self.hashes) for x, count in holders.items())

    def to_bytes(self) -> bytes:
        """Canonical bytes, always the same number."""
        kind, *numbers = astuple(self)
        return WIRE.pack(VERSION, KINDS.index(kind), *numbers)

    @classmethod
    def from_bytes(cls, data: bytes) -> UnionPlan:
        """The plan of canonical bytes; every range is checked. Nothing is allocated."""
        if len(data) != WIRE.size:
            raise PlanError(f"a union plan of {len(data)} bytes; it has {WIRE.size}")
        version, kind, *numbers = WIRE.unpack(data)
        if version != VERSION:
            raise PlanError(f"a union plan of version {version}; this code reads version {VERSION}")
        if kind >= len(KINDS):
            raise PlanError("a union plan of an unknown kind")
        return cls(KINDS[kind], *numbers)


def cell_loss(bits: int, occupants: int) -> Fraction:
    """P[`occupants` independent uniform residues in [1, R) sum to 0 modulo R = 2^bits].

    (1 / R) (1 + (R - 1) (-1 / (R - 1))^occupants): 0 for one, 1 / (R - 1) for two, then towards 1 / R from both sides.
    """
    r = 1 << bits
    return (1 + (r - 1) * Fraction(-1, r - 1) ** occupants) / r


def _turned(landing: float, turn: float, holders: int) -> float:
    """Mean of turn^occupants that one index with so many holders brings into a cell, on which it lands so often."""
    return 1 - landing + landing * math.pow(turn, holders)


def _check_range(name: str, value: int, low: int, high: int) -> None:
    if not (isinstance(value, int) and low <= value <= high):
        raise PlanError(f"{name}={value!r} must be an int from {low} to {high}")
