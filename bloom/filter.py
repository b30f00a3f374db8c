"""A Bloom filter over 64-bit keys, one byte of memory per cell and one bit per cell on the wire."""

from __future__ import annotations

import struct
from math import inf, log

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bloom.errors import FilterError
from bloom.positions import MAX_CELLS, cell_of, check_shape, positions, probes

__all__ = ["BloomFilter"]

VERSION = 1
HEADER = struct.Struct("<BBI")  # version, hashes, cells; then the cells, least significant bit first


class BloomFilter:
    """A set of 64-bit keys that never forgets one and sometimes finds one too many (Bloom 1970).

    `cells` (1 to 2^32 - 1) and `hashes` (1 to 32) come from `bloom.optimal_size`. Keys are 1-D integer arrays of values
    in [0, 2^64). Everything raises FilterError. A filter is no secret keeper: whoever sees it can test every key.
    """

    def __init__(self, cells: int, hashes: int) -> None:
        check_shape(cells, hashes)
        self.hashes = hashes
        self._occupied = np.zeros(cells, dtype=np.bool_)

    @classmethod
    def from_occupied(cls, occupied: NDArray[np.bool_], hashes: int) -> BloomFilter:
        """The filter whose cells are this bool array, (cells,). The array is kept, not copied."""
        if occupied.ndim != 1 or occupied.dtype != np.bool_:
            raise FilterError("occupied must be a 1-D bool array")
        check_shape(len(occupied), hashes)
        made = cls(1, hashes)
        made._occupied = occupied
        return made

    @property
    def cells(self) -> int:
        """Number of cells."""
        return len(self._occupied)

    def insert(self, keys: ArrayLike) -> None:
        """Add keys, (n,)."""
        self._occupied[positions(keys, self.cells, self.hashes)] = True

    def contains(self, keys: ArrayLike) -> NDArray[np.bool_]:
        """Whether each key, (n,), was inserted: true for every one that was, and for false positives."""
        probe, step = probes(keys)
        found = np.zeros(len(probe), dtype=np.bool_)
        alive = np.arange(len(probe))
        for _ in range(self.hashes):  # half of the absent keys leave at each probe of a well-filled filter
            hit = np.flatnonzero(self._occupied.take(cell_of(probe, self.cells)))
            alive, step = alive.take(hit), step.take(hit)
            probe = probe.take(hit) + step
        found[alive] = True
        return found

    def union(self, other: BloomFilter) -> BloomFilter:
        """The filter of the keys of both."""
        if (self.cells, self.hashes) != (other.cells, other.hashes):
            raise FilterError(
                f"filters of {self.cells} cells and {self.hashes} hashes and of {other.cells} and {other.hashes} "
                "have no union; make both with the same cells and hashes"
            )
        return BloomFilter.from_occupied(self._occupied | other._occupied, self.hashes)

    def estimate(self) -> float:
        """Estimated number of distinct keys, from the free cells (Swamidass and Baldi 2007); inf when none is free."""
        free = self.cells - int(np.count_nonzero(self._occupied))
        return self.cells / self.hashes * log(self.cells / free) if free else inf

    def to_bytes(self) -> bytes:
        """Canonical bytes: a header of 6 and one bit per cell."""
        packed = np.packbits(self._occupied, bitorder="little")
        return HEADER.pack(VERSION, self.hashes, self.cells) + packed.tobytes()

    @classmethod
    def from_bytes(cls, data: bytes, *, max_cells: int = MAX_CELLS) -> BloomFilter:
        """The filter of canonical bytes. Allocates at most one byte for each bit of `data`, and at most `max_cells`."""
        if len(data) < HEADER.size:
            raise FilterError(f"a filter of {len(data)} bytes; its header alone has {HEADER.size}")
        version, hashes, cells = HEADER.unpack_from(data)
        if version != VERSION:
            raise FilterError(f"a filter of version {version}; this code reads version {VERSION}")
        check_shape(cells, hashes)
        if cells > max_cells:
            raise FilterError(f"a filter of {cells} cells; max_cells={max_cells} are accepted")
        if len(data) != HEADER.size + -(-cells // 8):
            raise FilterError(f"a filter of {cells} cells does not have {len(data)} bytes")
        bits = np.unpackbits(np.frombuffer(data, np.uint8, offset=HEADER.size), bitorder="little")
        if bits[cells:].any():
            raise FilterError("a filter whose padding bits are not zero")
        return cls.from_occupied(bits[:cells].view(np.bool_), hashes)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BloomFilter):
            return NotImplemented
        return self.hashes == other.hashes and np.array_equal(self._occupied, other._occupied)

    def __repr__(self) -> str:
        return f"BloomFilter(cells={self.cells}, hashes={self.hashes})"
