"""One block of memory for all activations: values that are never needed at the same time share their place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .errors import ModelError
from .node import Array

__all__ = ["Arena", "Block", "place"]

ALIGNMENT = 64
"""Bytes: a cache line, and the widest vector."""
MAX_BYTES = 1 << 32
"""Of an arena: what asks for more is refused before anything is allocated."""


@dataclass(frozen=True, slots=True)
class Block:
    """Something that needs `size` bytes from step `first` to step `last`, both included."""

    name: str
    size: int
    first: int
    last: int

    def meets(self, other: Block) -> bool:
        """Whether both are needed at some step."""
        return self.first <= other.last and other.first <= self.last


def place(blocks: Sequence[Block]) -> tuple[dict[str, int], int]:
    """Offsets in bytes, and the bytes of the whole: the largest block first, each at the lowest place that is free.

    Source: greedy by size, Pisarchyk and Lee, Efficient Memory Management for Deep Neural Net Inference, 2020.
    """
    placed, offsets, total = list[Block](), dict[str, int](), 0
    for block in sorted(blocks, key=lambda b: (-b.size, b.first, b.name)):
        taken = sorted((offsets[b.name], offsets[b.name] + aligned(b.size)) for b in placed if b.meets(block))
        offset = 0
        for start, end in taken:
            if offset + block.size <= start:
                break
            offset = max(offset, end)
        offsets[block.name] = offset
        placed.append(block)
        total = max(total, offset + aligned(block.size))
    return offsets, total


class Arena:
    """The memory, and where everything lies in it. Raises ModelError above MAX_BYTES."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self._offsets, self.bytes = place(blocks)
        if self.bytes > MAX_BYTES:
            raise ModelError(f"activations need {self.bytes} bytes, at most {MAX_BYTES}; split the model or its batch")
        memory = np.zeros(self.bytes + ALIGNMENT, np.uint8)
        start = -memory.ctypes.data % ALIGNMENT
        self._memory = memory[start : start + self.bytes]
        self.sizes: Mapping[str, int] = {block.name: block.size for block in blocks}

    def bytes_of(self, name: str) -> Array:
        """A block as bytes."""
        return self._memory[self._offsets[name] :][: self.sizes[name]]


def aligned(size: int) -> int:
    """Rounded up to whole cache lines."""
    return -(-size // ALIGNMENT) * ALIGNMENT
