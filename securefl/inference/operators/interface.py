"""What an operator is, and how attributes are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..errors import ModelError
from ..node import Array, Node, Spec

Specs: TypeAlias = Sequence[Any]
"""Spec, or None where an optional input is absent."""
Arrays: TypeAlias = Sequence[Any]
"""Array, or None."""
Infer: TypeAlias = Callable[[Node, Specs, Arrays], tuple[Spec, ...]]
Compute: TypeAlias = Callable[[Node, Arrays], tuple[Array, ...]]


@dataclass(frozen=True, slots=True)
class Operator:
    """`infer` gives the specs of all outputs, `compute` their values; it takes `least` to `most` inputs."""

    infer: Infer
    compute: Compute
    least: int = 1
    most: int = 1


def integer(node: Node, name: str, default: int | None = None) -> int:
    """An integer attribute."""
    value = node.attributes.get(name, default)
    if not isinstance(value, int):
        raise ModelError(f"{node}: attribute {name!r} must be an integer")
    return value


def number(node: Node, name: str, default: float | None = None) -> float:
    """A float attribute."""
    value = node.attributes.get(name, default)
    if not isinstance(value, int | float):
        raise ModelError(f"{node}: attribute {name!r} must be a number")
    return float(value)


def integers(node: Node, name: str, default: tuple[int, ...] | None = None) -> tuple[int, ...]:
    """An attribute that is a list of integers."""
    value = node.attributes.get(name, default)
    if not isinstance(value, tuple):
        raise ModelError(f"{node}: attribute {name!r} must be a list of integers")
    return value


def text(node: Node, name: str, default: str) -> str:
    """A string attribute."""
    value = node.attributes.get(name, default)
    if not isinstance(value, str):
        raise ModelError(f"{node}: attribute {name!r} must be a string")
    return value


def axis_of(node: Node, rank: int, default: int | None = None) -> int:
    """The attribute `axis`, counted from the front."""
    axis = integer(node, "axis", default)
    if not -rank <= axis < max(rank, 1):
        raise ModelError(f"{node}: axis {axis} is none of {rank}")
    return axis % max(rank, 1)
