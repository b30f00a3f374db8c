"""A Bloom filter over 64-bit keys or bytes, one bit a cell in memory and on the wire."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from math import inf, log

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bloom.errors import FilterError
from bloom.positions import MAX_CELLS, check_shape, checked_keys, probes_of_bytes
from native import filters as kernels

__all__ = ["BloomFilter"]

VERSION = 1
HEADER = struct.Struct("<BBI")  # version, hashes, cells; then the cells, least significant bit first


class BloomFilter:
    """A set of keys that never forgets one and sometimes finds one too many (Bloom 1970).

    `cells` (1 to 2^32 - 1) and `hashes` (1 to 32) come from `bloom.optimal_size`. Keys are 1-D integer arrays of values
    in [0, 2^64), or, in the methods named so, bytes; a key of eight bytes is the integer it spells, little-endian.
    Everything raises FilterError. A filter is no secret keeper: whoever sees it can test every key, and inserting and
    looking up take time that depends on the keys.
    """

    def __init__(self, cells: int, hashes: int) -> None:
        check_shape(cells, hashes)
        self.cells, self.hashes = cells, hashes
        self._bits = np.zeros(kernels.words(cells), np.uint32)

    @classmethod
    def from_occupied(cls, occupied: NDArray[np.bool_], hashes: int) -> BloomFilter:
        """The filter whose cells are this bool array, (cells,)."""
        if occupied.ndim != 1 or occupied.dtype != np.bool_:
            raise FilterError("occupied must be a 1-D bool array")
        return cls.from_packed(np.packbits(occupied, bitorder="little"), len(occupied), hashes)

    @classmethod
    def from_packed(cls, packed: NDArray[np.uint8], cells: int, hashes: int) -> BloomFilter:
        """The filter whose cell c is bit c % 8 of byte c // 8, (ceil(cells / 8),) uint8; bits beyond are zero."""
        check_shape(cells, hashes)
        if packed.dtype != np.uint8 or packed.shape != (-(-cells // 8),):
            raise FilterError(f"a filter of {cells} cells is packed into {-(-cells // 8)} bytes")
        if cells % 8 and packed[-1] >> cells % 8:
            raise FilterError("a filter whose padding bits are not zero")
        made, padded = cls(cells, hashes), np.zeros(4 * kernels.words(cells), np.uint8)
        padded[: len(packed)] = packed
        made._bits = padded.view("<u4").astype(np.uint32, copy=False)
        return made

    @property
    def occupied(self) -> int:
        """Number of cells that are set."""
        return int.from_bytes(self._bits.tobytes(), "little").bit_count()

    @property
    def false_positive_rate(self) -> float:
        """P[a key that was not inserted is found] in this very filter: (occupied / cells)^hashes, over uniform probes.

        `bloom.false_positive_rate` is its exact expectation before anything is inserted.
        """
        return float((self.occupied / self.cells) ** self.hashes)

    def insert(self, keys: ArrayLike) -> None:
        """Add keys, (n,)."""
        kernels.insert(self._bits, self.cells, self.hashes, checked_keys(keys))

    def insert_bytes(self, keys: Iterable[bytes]) -> None:
        """Add keys of any length."""
        cells = probes_of_bytes(keys).cells(self.cells, self.hashes).ravel()
        np.bitwise_or.at(self._bits, cells >> 5, _bit(cells))

    def contains(self, keys: ArrayLike) -> NDArray[np.bool_]:
        """Whether each key, (n,), was inserted: true for every one that was, and for false positives."""
        return kernels.contains(self._bits, self.cells, self.hashes, checked_keys(keys))

    def contains_bytes(self, keys: Iterable[bytes]) -> NDArray[np.bool_]:
        """Whether each key of any length was inserted, likewise."""
        cells = probes_of_bytes(keys).cells(self.cells, self.hashes)
        found: NDArray[np.bool_] = (self._bits[cells >> 5] & _bit(cells)).all(axis=1)
        return found

    def issuperset(self, keys: ArrayLike) -> bool:
        """Whether `contains` holds for all keys."""
        return bool(self.contains(keys).all())

    def members(self, start: int, stop: int) -> NDArray[np.int64]:
        """Of the keys start..stop - 1 those that `contains` finds, ascending int64 (n,); 0 <= start <= stop < 2^63.

        Reserves 8 bytes of memory for every key of the range, and uses those of the keys found.
        """
        if not 0 <= start <= stop < 2**63:
            raise FilterError(f"start={start} and stop={stop} must satisfy 0 <= start <= stop < 2^63")
        return kernels.members(self._bits, self.cells, self.hashes, start, stop)

    def union(self, other: BloomFilter) -> BloomFilter:
        """The filter of the keys of both."""
        if (self.cells, self.hashes) != (other.cells, other.hashes):
            raise FilterError(
                f"filters of {self.cells} cells and {self.hashes} hashes and of {other.cells} and {other.hashes} "
                "have no union; make both with the same cells and hashes"
            )
        made = BloomFilter(self.cells, self.hashes)
        np.bitwise_or(self._bits, other._bits, out=made._bits)
        return made

    def estimate(self) -> float:
        """Estimated number of distinct keys, from the free cells (Swamidass and Baldi 2007); inf when none is free."""
        free = self.cells - self.occupied
        return self.cells / self.hashes * log(self.cells / free) if free else inf

    def to_bytes(self) -> bytes:
        """Canonical bytes: a header of 6 and one bit per cell."""
        packed = self._bits.astype("<u4", copy=False).tobytes()[: -(-self.cells // 8)]
        return HEADER.pack(VERSION, self.hashes, self.cells) + packed

    @classmethod
    def from_bytes(cls, data: bytes, *, max_cells: int = MAX_CELLS) -> BloomFilter:
        """The filter of canonical bytes. Allocates no more than `data` has, and nothing above `max_cells`."""
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
        return cls.from_packed(np.frombuffer(data, np.uint8, offset=HEADER.size), cells, hashes)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BloomFilter):
            return NotImplemented
        same_shape = (self.cells, self.hashes) == (other.cells, other.hashes)
        return same_shape and np.array_equal(self._bits, other._bits)

    def __repr__(self) -> str:
        return f"BloomFilter(cells={self.cells}, hashes={self.hashes})"


def _bit(cells: NDArray[np.int64]) -> NDArray[np.uint32]:
    """The bit of each cell in its word."""
    return np.uint32(1) << (cells & 31).astype(np.uint32)
