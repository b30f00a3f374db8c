"""What a graph is made of: values, of which shape and dtype are known, and the operators between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .errors import ModelError

__all__ = ["Array", "Node", "Spec"]

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
