"""A set as the cells of a private union, and back. docs/spec/derivations.md, section 11."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

WORD = 2**64
KINDS = ("bitmap", "filter")
WIRE = struct.Struct("<BBQQIIBB")


@dataclass(frozen=True)
class UnionPlan:
    """The 28 bytes of `SubmodelPlan.union`, behind their version."""

    kind: str
    universe: int
    expected_union: int
    clients: int
    cells: int
    bits: int
    hashes: int

    def to_bytes(self) -> bytes:
        kind, *numbers = vars(self).values()
        return WIRE.pack(1, KINDS.index(kind), *numbers)

    def cells_of(self, index: int) -> list[int]:
        """Of a bitmap one cell; of a Bloom filter as many as hashes, possibly repeated."""
        if self.kind == "bitmap":
            return [index]
        start, step = murmur3(index)
        probes = ((start + i * (step | 1)) % WORD for i in range(self.hashes))
        return [probe * self.cells // WORD for probe in probes]

    def occupied(self, indices: Iterable[int]) -> list[int]:
        """The cells that are not zero, ascending. Each is uniform in [1, 2^bits), whatever the number of indices."""
        return sorted({cell for index in indices for cell in self.cells_of(index)})

    def encode(self, indices: Iterable[int], residues: Mapping[int, int]) -> list[int]:
        """`residues`: what was drawn for each cell."""
        occupied = set(self.occupied(indices))
        return [residues[cell] if cell in occupied else 0 for cell in range(self.cells)]

    def decode(self, sums: Sequence[int]) -> list[int]:
        """Indices all of whose cells are not zero modulo 2^bits."""
        return [i for i in range(self.universe) if all(sums[cell] % 2**self.bits for cell in self.cells_of(i))]


def murmur3(index: int) -> tuple[int, int]:
    """Both halves of MurmurHash3_x64_128, seed 0, of an index as 8 bytes, little-endian."""
    mixed = rotate(index * 0x87C37B91114253D5 % WORD, 31) * 0x4CF5AD432745937F % WORD
    a, b = cross(mixed ^ 8, 8)
    return cross(finish(a), finish(b))


def cross(a: int, b: int) -> tuple[int, int]:
    a = (a + b) % WORD
    return a, (a + b) % WORD


def rotate(x: int, bits: int) -> int:
    return (x << bits | x >> 64 - bits) % WORD


def finish(x: int) -> int:
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        x = (x ^ x >> 33) * factor % WORD
    return x ^ x >> 33
