"""Frames that are nearly right: recorded ones, changed in a place or two of their MessagePack tree and encoded again.

Whatever is drawn comes from a `random.Random`: Hypothesis gives one that it can shrink, a fuzzer one of its own seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import msgspec

Path = tuple[Any, ...]
"""Keys and positions from the root of a tree."""

EDGES = (0, 1, 2, 127, 128, 1 << 16, 1 << 24, (1 << 32) - 1, 1 << 63)
WORDS = ("a", "b", "union", "update", "malicious")


def near(random: Random, frame: bytes, others: Sequence[bytes]) -> bytes:
    """A frame with one or two places changed, also to what stands in other frames."""
    tree = tree_of(frame)
    for _ in range(random.randint(1, 2)):
        path, value = random.choice(list(nodes(tree)))
        tree = put(tree, path, changed(random, value) if random.randint(0, 2) else like(random, value, others))
    return frame[:1] + msgspec.msgpack.encode(tree)


def tree_of(frame: bytes) -> Any:
    """The body of a frame as lists, maps, numbers, texts and byte strings."""
    return msgspec.msgpack.decode(frame[1:])


def nodes(tree: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every place of a tree and what is there."""
    yield path, tree
    branches = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, branch in branches:
        yield from nodes(branch, (*path, key))


def put(tree: Any, path: Path, value: Any) -> Any:
    """A copy of the tree with another value in one place."""
    if not path:
        return value
    key, *rest = path
    branch = put(tree[key], tuple(rest), value)
    return tree | {key: branch} if isinstance(tree, dict) else [*tree[:key], branch, *tree[key + 1 :]]


def like(random: Random, value: Any, others: Sequence[bytes]) -> Any:
    """A value of the same kind from another frame."""
    found = [other for _, other in nodes(tree_of(random.choice(others))) if type(other) is type(value)]
    return random.choice(found or [value])


def changed(random: Random, value: Any) -> Any:
    """A small change of what stands in a place."""
    match value:
        case bool():
            return not value
        case int():
            return random.choice([value + 1, max(0, value - 1), *EDGES])
        case str():
            return random.choice([*WORDS, value + "x"])
        case bytes():
            spoilt = [flipped(value, random.randint(0, max(0, 8 * len(value) - 1)))] * 4
            return random.choice([*spoilt, b"", value[:-1], value + b"\0", bytes(len(value)), b"\xff" * len(value)])
        case list():
            return random.choice([random.sample(value, len(value)), value[:-1], value[1:], value + value[-1:], []])
        case dict() if value:
            return _with_other_keys(random, value)
    return value


def flipped(data: bytes, bit: int) -> bytes:
    """Bytes with one bit flipped, if there is one."""
    return data[: bit // 8] + bytes((data[bit // 8] ^ 1 << bit % 8,)) + data[bit // 8 + 1 :] if data else data


def _with_other_keys(random: Random, value: dict[Any, Any]) -> dict[Any, Any]:
    """Without one entry, or with one under another small id."""
    key, place = random.choice(sorted(value)), random.randint(1, 8)
    rest = {k: v for k, v in value.items() if k != key}
    return random.choice([rest, rest | {place: value[key]}, value | {place: value[key]}])
