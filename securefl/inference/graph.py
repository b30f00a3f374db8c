"""The graph that everything here works on: nodes in an order in which they can run, constants, specs of all values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .errors import ModelError

__all__ = ["Array", "Graph", "Node", "Spec"]

Array: TypeAlias = NDArray[Any]
Attribute: TypeAlias = int | float | str | tuple[int, ...]

FLOAT32, INT64, INT32, BOOL = (np.dtype(kind) for kind in (np.float32, np.int64, np.int32, np.bool_))
DTYPES = (FLOAT32, INT64, INT32, BOOL)
MAX_ELEMENTS = 1 << 28
"""Elements of one value: a gigabyte of floats. Larger shapes are refused before anything is allocated."""
MAX_RANK = 8


@dataclass(frozen=True, slots=True)
class Spec:
    """Shape and dtype of a value."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any] = FLOAT32

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise ModelError(f"dtype {self.dtype} is not supported; use one of {', '.join(map(str, DTYPES))}")
        if len(self.shape) > MAX_RANK or any(size < 0 for size in self.shape):
            raise ModelError(f"shape {self.shape} is none: at most {MAX_RANK} axes, none negative")
        if prod(self.shape) > MAX_ELEMENTS:
            raise ModelError(f"shape {self.shape} has more than {MAX_ELEMENTS} elements; split the model or its batch")

    @property
    def size(self) -> int:
        """Elements."""
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        """Bytes."""
        return self.size * self.dtype.itemsize

    @classmethod
    def of(cls, array: Array) -> Spec:
        """The spec of an array."""
        return cls(array.shape, array.dtype)

    def __str__(self) -> str:
        return f"{self.dtype} {self.shape}"


@dataclass(frozen=True, slots=True)
class Node:
    """One operator. An optional input that is absent is an empty string."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.op} -> {self.outputs[0]}"

    def with_attributes(self, **attributes: Attribute) -> Node:
        """The same node with some attributes set."""
        return replace(self, attributes={**self.attributes, **attributes})


@dataclass(frozen=True)
class Graph:
    """A model. Nodes stand in topological order; `specs` has every value, once `with_specs` has been called."""

    nodes: tuple[Node, ...]
    inputs: Mapping[str, Spec]
    outputs: tuple[str, ...]
    constants: Mapping[str, Array]
    specs: Mapping[str, Spec] = field(default_factory=dict)

    def producers(self) -> dict[str, Node]:
        """Which node makes a value."""
        return {name: node for node in self.nodes for name in node.outputs if name}

    def uses(self) -> Counter[str]:
        """How often each value is read; being an output is a use."""
        return Counter([name for node in self.nodes for name in node.inputs if name] + list(self.outputs))

    def changed(self, nodes: Iterable[Node], constants: Mapping[str, Array] | None = None) -> Graph:
        """The same model with other nodes and more constants; what nobody needs any more is gone."""
        kept, needed = list[Node](), set(self.outputs)
        for node in reversed(tuple(nodes)):
            if needed.intersection(node.outputs):
                kept.append(node)
                needed.update(node.inputs)
        held = {name: array for name, array in {**self.constants, **(constants or {})}.items() if name in needed}
        return Graph(tuple(reversed(kept)), self.inputs, self.outputs, held).with_specs()

    def with_specs(self) -> Graph:
        """Infer the spec of every value. Raises ModelError, or UnsupportedOperatorError."""
        from .operators import infer

        specs = dict(self.inputs) | {name: Spec.of(array) for name, array in self.constants.items()}
        for node in self.nodes:
            known = tuple(specs[name] if name else None for name in node.inputs)
            values = tuple(self.constants.get(name) for name in node.inputs)
            specs.update(zip(node.outputs, infer(node, known, values), strict=True))
        return replace(self, specs=specs)


def ordered(nodes: Iterable[Node], known: Iterable[str], outputs: Iterable[str]) -> tuple[Node, ...]:
    """The nodes in topological order. Raises ModelError for a cycle, a missing value, or one made twice."""
    waiting, made = list(nodes), set(known)
    produced = Counter(name for node in waiting for name in node.outputs if name)
    twice = [name for name, count in produced.items() if count > 1 or name in made]
    if twice:
        raise ModelError(f"value {twice[0]!r} is made more than once")
    missing = {name for node in waiting for name in node.inputs if name} | set(outputs)
    missing -= made | produced.keys()
    if missing:
        raise ModelError(f"value {min(missing)!r} is used but nothing makes it")
    consumers: dict[str, list[int]] = {}
    lacking = [len({name for name in node.inputs if name and name not in made}) for node in waiting]
    for place, node in enumerate(waiting):
        for name in {name for name in node.inputs if name and name not in made}:
            consumers.setdefault(name, []).append(place)
    ready = [place for place, count in enumerate(lacking) if count == 0]
    done = list[Node]()
    for place in ready:  # grows while it is walked
        done.append(waiting[place])
        for name in waiting[place].outputs:
            for reader in consumers.get(name, ()):
                lacking[reader] -= 1
                if lacking[reader] == 0:
                    ready.append(reader)
    if len(done) < len(waiting):
        raise ModelError("the graph has a cycle")
    return tuple(done)
