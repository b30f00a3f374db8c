"""From an ONNX file to a graph. The file may be hostile: everything in it is bounded before it is used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelError, UnsupportedOperatorError
from ..graph import Graph, ordered
from ..node import DTYPES, MAX_ELEMENTS, MAX_RANK, Array, Attribute, Node, Spec
from .package import onnx

__all__ = ["load_onnx"]

MAX_BYTES = 1 << 30
"""Of a file."""
MAX_NODES = 20_000
MAX_ATTRIBUTE = 4096
"""Numbers in a list attribute."""
OPSETS = range(7, 24)
SOFTMAX_BY_AXIS = 13
"""From this operator set on, Softmax works along one axis; before, on everything from that axis on."""
DROPPED = {"Dropout": "Identity"}
NEUTRAL = {"doc_string"}


def load_onnx(source: str | Path | bytes, shapes: Mapping[str, tuple[int, ...]] | None = None) -> Graph:
    """A model from a file or from its bytes; `shapes` of inputs override the file's, and give what it leaves open.

    Weights must be inside the file. Raises ModelError, or UnsupportedOperatorError, which name what is wrong.
    """
    model = _parse(_content(source))
    opset = _opset(model)
    graph = model.graph
    if len(graph.node) > MAX_NODES:
        raise ModelError(f"the model has {len(graph.node)} nodes; at most {MAX_NODES} are read")
    if not all(isinstance(name, str) for name in _names(graph)):
        raise ModelError("a name in the model is not UTF-8: damaged")
    constants = {tensor.name: _tensor(tensor) for tensor in graph.initializer}
    inputs = _inputs(graph, constants, dict(shapes or {}))
    nodes = [node for proto in graph.node if (node := _node(proto, opset, constants)) is not None]
    outputs = tuple(value.name for value in graph.output)
    if not nodes or not outputs or len(set(outputs)) < len(outputs):
        raise ModelError("the model has no nodes, no outputs, or one output twice")
    known = set(inputs) | set(constants)
    if set(outputs) & known:
        raise ModelError(f"output {min(set(outputs) & known)!r} is an input or a constant")
    in_order = ordered(nodes, known, outputs)
    return Graph((), inputs, outputs, constants).changed(in_order)


def _content(source: str | Path | bytes) -> bytes:
    if isinstance(source, bytes):
        content = source
    else:
        path = Path(source)
        try:
            if path.stat().st_size > MAX_BYTES:
                raise ModelError(f"{path} is larger than {MAX_BYTES} bytes")
            content = path.read_bytes()
        except OSError as error:
            raise ModelError(f"{path} cannot be read: {error.strerror or error}") from None
    if not 0 < len(content) <= MAX_BYTES:
        raise ModelError(f"a model of {len(content)} bytes is empty or too large")
    return content


def _parse(content: bytes) -> Any:
    from google.protobuf.message import DecodeError

    model = onnx().ModelProto()
    try:
        model.ParseFromString(content)
    except (DecodeError, ValueError, RuntimeError):
        raise ModelError("this is no ONNX model: damaged or cut") from None
    if not model.HasField("graph") or model.functions:
        raise ModelError("this is no ONNX model, or one with functions of its own")
    return model


def _names(graph: Any) -> Iterator[object]:
    """Every name in a graph; protobuf gives one that is not UTF-8 as bytes."""
    for each in (*graph.initializer, *graph.input, *graph.output):
        yield each.name
    for node in graph.node:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)


def _opset(model: Any) -> int:
    opsets = {entry.domain or "ai.onnx": entry.version for entry in model.opset_import}
    version = opsets.get("ai.onnx", 0)
    if version not in OPSETS:
        raise ModelError(f"operator set {version} is not read; export with one of {OPSETS[0]} to {OPSETS[-1]}")
    return int(version)


def _tensor(tensor: Any) -> Array:
    """A constant; NaN is refused, and so is anything that lies outside the file."""
    helper = onnx()
    shape = tuple(int(size) for size in tensor.dims)
    where = f"constant {tensor.name!r}"
    if tensor.data_location == helper.TensorProto.EXTERNAL:
        raise ModelError(f"{where} lies in another file; store it inside the model")
    if len(shape) > MAX_RANK or any(size < 0 for size in shape) or prod(shape) > MAX_ELEMENTS:
        raise ModelError(f"{where} has shape {shape}, which is too large or none")
    try:
        array = np.asarray(helper.numpy_helper.to_array(tensor))
    except Exception:
        raise ModelError(f"{where} is damaged") from None
    if array.dtype == np.float64:
        array = array.astype(np.float32)
    if array.dtype not in DTYPES or array.shape != shape:
        raise ModelError(f"{where} has dtype {array.dtype}; use one of {', '.join(map(str, DTYPES))}")
    if array.dtype == np.float32 and np.isnan(array).any():
        raise ModelError(f"{where} holds NaN")
    return array


def _inputs(graph: Any, constants: Mapping[str, Array], shapes: dict[str, tuple[int, ...]]) -> dict[str, Spec]:
    kinds = onnx().helper.tensor_dtype_to_np_dtype
    specs = dict[str, Spec]()
    for value in graph.input:
        if value.name in constants:
            continue
        tensor = value.type.tensor_type
        try:
            dtype = np.dtype(kinds(tensor.elem_type))
        except (KeyError, ValueError, TypeError):
            raise ModelError(f"input {value.name!r} is no tensor of a known dtype") from None
        shape = shapes.pop(value.name, None)
        specs[value.name] = Spec(_declared(value.name, tensor) if shape is None else tuple(map(int, shape)), dtype)
    if shapes:
        raise ModelError(f"shapes: {min(shapes)!r} is no input of the model")
    return specs


def _declared(name: str, tensor: Any) -> tuple[int, ...]:
    sizes = tuple(axis.dim_value if axis.HasField("dim_value") else -1 for axis in tensor.shape.dim)
    if not tensor.HasField("shape") or any(size < 1 for size in sizes):
        raise ModelError(f"input {name!r} has an open shape; give it: shapes={{{name!r}: (...)}}")
    return sizes


def _node(proto: Any, opset: int, constants: dict[str, Array]) -> Node | None:
    """One node; a Constant becomes a constant."""
    if proto.domain not in ("", "ai.onnx"):
        raise UnsupportedOperatorError(f"operator {proto.op_type!r} of domain {proto.domain!r} is not supported")
    where = f"{proto.op_type} {proto.name or (proto.output[0] if proto.output else '')!r}"
    if not proto.output or not proto.output[0]:
        raise ModelError(f"{where} has no output")
    if proto.op_type == "Constant":
        values = [attribute.t for attribute in proto.attribute if attribute.name == "value"]
        if len(values) != 1 or proto.output[0] in constants:
            raise UnsupportedOperatorError(f"{where}: only a constant with one tensor is supported")
        constants[proto.output[0]] = _tensor(values[0])
        return None
    attributes = {a.name: _attribute(where, a) for a in proto.attribute if a.name not in NEUTRAL}
    if proto.op_type == "Softmax" and opset < SOFTMAX_BY_AXIS:
        attributes.setdefault("axis", 1)
        if attributes["axis"] != -1:
            raise UnsupportedOperatorError(f"{where}: before operator set 13 only axis -1 is supported")
    inputs, outputs = tuple(proto.input), _trimmed(proto.output)
    if proto.op_type in DROPPED:
        return Node(DROPPED[proto.op_type], inputs[:1], outputs[:1])
    if proto.op_type == "Clip":
        inputs = _clip_inputs(inputs, attributes, outputs[0], constants)
    return Node(proto.op_type, inputs, outputs, attributes)


def _trimmed(names: Any) -> tuple[str, ...]:
    kept = list(names)
    while kept and not kept[-1]:
        kept.pop()
    return tuple(kept)


def _clip_inputs(
    inputs: tuple[str, ...], attributes: dict[str, Attribute], out: str, constants: dict[str, Array]
) -> tuple[str, ...]:
    """Limits were attributes before operator set 11."""
    names = list(inputs[:1])
    for end in ("min", "max"):
        limit = attributes.pop(end, None)
        names.append("" if limit is None else f"{out}.{end}")
        if limit is not None:
            constants[names[-1]] = np.array(limit, np.float32)
    return inputs if len(inputs) > 1 else tuple(names)


def _attribute(where: str, attribute: Any) -> Attribute:
    kinds = onnx().AttributeProto
    if attribute.type == kinds.INT:
        if attribute.name == "to":
            return str(np.dtype(onnx().helper.tensor_dtype_to_np_dtype(attribute.i)))
        return int(attribute.i)
    if attribute.type == kinds.FLOAT:
        return float(attribute.f)
    if attribute.type == kinds.STRING:
        return bytes(attribute.s).decode("utf-8", "replace")
    if attribute.type == kinds.INTS and len(attribute.ints) <= MAX_ATTRIBUTE:
        return tuple(int(item) for item in attribute.ints)
    raise UnsupportedOperatorError(f"{where}: attribute {attribute.name!r} is of a kind that is not supported")
