"""Our own file of a planned model: weights as the kernels read them, mapped into memory instead of loaded.

    magic (8 bytes), length of the header (8 bytes, little-endian), header (JSON), arrays at multiples of 64 bytes

The header has the rewritten graph and where each array lies. Nothing in it is trusted: sizes are bounded, arrays
must lie inside the file, the graph is inferred anew, and every kernel step checks the extents of its buffers.
"""

from __future__ import annotations

import mmap
from math import prod
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from .errors import ModelError
from .graph import Graph, ordered
from .node import DTYPES, MAX_RANK, Array, Attribute, Node, Spec
from .session import Session

__all__ = ["load_prepared", "save_prepared"]

MAGIC = b"SFLNET\x00\x01"
ALIGNMENT = 64
MAX_HEADER = 1 << 24
STORED = {str(dtype): dtype for dtype in (*DTYPES, np.dtype(np.int8))}


class Stored(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """An array in the file."""

    dtype: str
    shape: tuple[int, ...]
    offset: int


class StoredNode(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A node; lists of integers stand for tuples."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, int | float | str | tuple[int, ...]]


class Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything but the numbers."""

    instructions: str
    settings: dict[str, Any]
    inputs: dict[str, tuple[str, tuple[int, ...]]]
    outputs: tuple[str, ...]
    nodes: tuple[StoredNode, ...]
    constants: dict[str, Stored]
    prepared: dict[str, Stored]


def save_prepared(session: Session, path: str | Path) -> None:
    """Write the session's model, rewritten, with its prepared weights."""
    graph, prepared = session.rewritten, session.prepared
    arrays, places, offset = list[Array](), list[Stored](), 0
    for array in (*graph.constants.values(), *prepared.values()):
        array = np.ascontiguousarray(array)
        arrays.append(array)
        places.append(Stored(str(array.dtype), array.shape, offset))
        offset += -(-array.nbytes // ALIGNMENT) * ALIGNMENT
    header = msgspec.json.encode(
        Header(
            instructions=session.instructions,
            settings={"precision": session.settings.precision},
            inputs={name: (str(spec.dtype), spec.shape) for name, spec in graph.inputs.items()},
            outputs=graph.outputs,
            nodes=tuple(StoredNode(n.op, n.inputs, n.outputs, dict(n.attributes)) for n in graph.nodes),
            constants=dict(zip(graph.constants, places, strict=False)),
            prepared=dict(zip(prepared, places[len(graph.constants) :], strict=True)),
        )
    )
    with Path(path).open("wb") as file:
        file.write(MAGIC + len(header).to_bytes(8, "little") + header)
        file.write(bytes(-file.tell() % ALIGNMENT))
        for array in arrays:
            file.write(array.tobytes())
            file.write(bytes(-array.nbytes % ALIGNMENT))


def load_prepared(path: str | Path, **settings: Any) -> Session:
    """A session from a file of `save_prepared`; `settings` as of `Session`, but for precision, which is the file's.

    On a machine with other instructions the weights are prepared again. Raises ModelError, or InputError.
    """
    content = _mapped(Path(path))
    header, start = _header(content, Path(path))
    constants = {name: _array(content, start, name, stored) for name, stored in header.constants.items()}
    prepared = {name: _array(content, start, name, stored) for name, stored in header.prepared.items()}
    inputs = {name: Spec(shape, _dtype(name, kind)) for name, (kind, shape) in header.inputs.items()}
    nodes = [Node(n.op, _present(n.inputs), n.outputs, _attributes(n.attributes)) for n in header.nodes]
    if any(not node.outputs or not node.outputs[0] for node in nodes):
        raise ModelError(f"{path}: a node has no output")
    in_order = ordered(nodes, [*inputs, *constants], header.outputs)
    graph = Graph(in_order, inputs, header.outputs, constants).with_specs()
    given = {"rewrite": False, **header.settings, **settings}
    return Session(graph, prepared=(header.instructions, prepared), **given)


def _mapped(path: Path) -> memoryview:
    try:
        with path.open("rb") as file:
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be mapped: {error}") from None


def _header(content: memoryview, path: Path) -> tuple[Header, int]:
    size = int.from_bytes(content[8:16], "little")
    if bytes(content[:8]) != MAGIC or size > MAX_HEADER or 16 + size > len(content):
        raise ModelError(f"{path} is no prepared model, or one of another version")
    try:
        header = msgspec.json.decode(content[16 : 16 + size], type=Header)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OverflowError) as error:
        raise ModelError(f"{path}: the header is damaged: {error}") from None
    return header, -(-(16 + size) // ALIGNMENT) * ALIGNMENT


def _dtype(name: str, kind: str) -> np.dtype[Any]:
    if kind not in STORED:
        raise ModelError(f"{name!r} has dtype {kind!r}; use one of {', '.join(STORED)}")
    return STORED[kind]


def _array(content: memoryview, start: int, name: str, stored: Stored) -> Array:
    """A view into the file, never a copy."""
    dtype = _dtype(name, stored.dtype)
    if len(stored.shape) > MAX_RANK or any(size < 0 for size in stored.shape) or stored.offset < 0:
        raise ModelError(f"array {name!r} has shape {stored.shape} at {stored.offset}, which cannot be")
    first, size = start + stored.offset, prod(stored.shape) * dtype.itemsize
    if stored.offset % ALIGNMENT or first + size > len(content):
        raise ModelError(f"array {name!r} does not lie inside the file")
    return np.frombuffer(content[first : first + size], dtype).reshape(stored.shape)


def _present(inputs: tuple[str, ...]) -> tuple[str, ...]:
    """Without the absent ones at the end."""
    return inputs[: max((place for place, name in enumerate(inputs, 1) if name), default=0)]


def _attributes(given: dict[str, int | float | str | tuple[int, ...]]) -> dict[str, Attribute]:
    return dict(given)
