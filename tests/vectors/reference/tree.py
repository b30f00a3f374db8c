"""Merkle trees in the recursive words of RFC 9162, sections 2.1.1 and 2.1.3. docs/spec/derivations.md, section 7."""

from __future__ import annotations

from collections.abc import Sequence

from reference.errors import CryptoError
from reference.transcript import digest


def node(left: bytes, right: bytes) -> bytes:
    return digest("node", left + right)


def left_of(leaves: int) -> int:
    """How many of two or more leaves stand in the left subtree: the largest power of two below their number."""
    return 1 << (leaves - 1).bit_length() - 1


def root(leaves: Sequence[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    k = left_of(len(leaves))
    return node(root(leaves[:k]), root(leaves[k:]))


def path(at: int, leaves: Sequence[bytes]) -> list[bytes]:
    """From the leaf up: at each fork the root of the other side."""
    if len(leaves) == 1:
        return []
    k = left_of(len(leaves))
    if at < k:
        return [*path(at, leaves[:k]), root(leaves[k:])]
    return [*path(at - k, leaves[k:]), root(leaves[:k])]


def root_above(leaf: bytes, at: int, leaves: int, siblings: Sequence[bytes]) -> bytes:
    if leaves == 1:
        if siblings:
            raise CryptoError("the path is too long")
        return leaf
    if not siblings:
        raise CryptoError("the path is too short")
    k, (*below, other) = left_of(leaves), siblings
    if at < k:
        return node(root_above(leaf, at, k, below), other)
    return node(other, root_above(leaf, at - k, leaves - k, below))
