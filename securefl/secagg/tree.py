"""A Merkle tree of the shape of RFC 9162, section 2.1: one signature on the root vouches for each leaf, shown alone.

Level by level, neighbours are hashed in pairs; an odd one at the end moves up as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

from securefl.crypto import CryptoError
from securefl.transcript import Label, digest

HASH_BYTES = 32


class Tree:
    """The tree over at least one leaf, each a labelled digest of 32 bytes."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self._levels = [list(leaves)]
        while len(self._levels[-1]) > 1:
            self._levels.append(_above(self._levels[-1]))

    @property
    def root(self) -> bytes:
        """32 bytes that fix every leaf and its place."""
        return self._levels[-1][0]

    def path(self, leaf: int) -> bytes:
        """The siblings between leaf number `leaf` and the root, from below, 32 bytes each."""
        siblings = []
        for level in self._levels:
            siblings += level[leaf ^ 1 : (leaf ^ 1) + 1]  # none at an odd end
            leaf >>= 1
        return b"".join(siblings)


def root_above(value: bytes, leaf: int, leaves: int, path: bytes) -> bytes:
    """The root of the tree of so many leaves in which `path` belongs to leaf number `leaf`, which is `value`.

    `CryptoError` for a path of another length.
    """
    at = 0
    while leaves > 1:
        sibling = path[at : at + HASH_BYTES]
        if leaf ^ 1 < leaves:
            value = _node(sibling, value) if leaf & 1 else _node(value, sibling)
            at += HASH_BYTES
        leaf, leaves = leaf >> 1, (leaves + 1) >> 1
    if at != len(path):
        raise CryptoError("the path has the wrong length")
    return value


def _above(level: Sequence[bytes]) -> list[bytes]:
    pairs = zip(level[::2], level[1::2], strict=False)
    return [_node(left, right) for left, right in pairs] + list(level[len(level) & ~1 :])


def _node(left: bytes, right: bytes) -> bytes:
    return digest(Label.NODE, left + right)
