"""From a graph to ONNX: operators that ONNX lacks are written as those it has."""

from __future__ import annotations

from math import inf
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UnsupportedOperatorError
from ..graph import Graph
from ..node import Array, Node
from ..operators.interface import number, text
from .package import onnx

__all__ = ["save_onnx", "to_onnx"]

OPSET, IR_VERSION = 13, 8
"""Old enough for every engine that is measured beside this one."""
OWN = {"low", "high", "activation"}
"""Attributes of fused nodes; they become nodes of their own."""
LARGEST_MAP = 1 << 24
"""Ids up to here can be located by a table, which is how ONNX can say it."""


def save_onnx(graph: Graph, path: str | Path) -> None:
    """Write a graph as an ONNX file."""
    Path(path).write_bytes(to_onnx(graph).SerializeToString())


def to_onnx(graph: Graph) -> Any:
    """A graph as an `onnx.ModelProto`, checked. Raises UnsupportedOperatorError for what ONNX cannot say."""
    writer = _Writer(graph)
    for node in graph.nodes:
        writer.write(node)
    package, helper = onnx(), onnx().helper
    proto = helper.make_graph(
        writer.nodes,
        "securefl",
        [_value(graph, name) for name in graph.inputs],
        [_value(graph, name) for name in graph.outputs],
        [package.numpy_helper.from_array(np.ascontiguousarray(a), name) for name, a in writer.used_constants().items()],
    )
    model = helper.make_model(proto, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    package.checker.check_model(model)
    return model


def _value(graph: Graph, name: str) -> Any:
    spec = graph.specs[name]
    return onnx().helper.make_tensor_value_info(name, onnx().helper.np_dtype_to_tensor_dtype(spec.dtype), spec.shape)


class _Writer:
    """ONNX nodes as they are added."""

    def __init__(self, graph: Graph) -> None:
        self._graph, self._constants = graph, dict(graph.constants)
        self.nodes = list[Any]()

    def used_constants(self) -> dict[str, Array]:
        """The constants that nodes read."""
        names = {name for node in self.nodes for name in node.input}
        return {name: array for name, array in self._constants.items() if name in names}

    def write(self, node: Node) -> None:
        """One node of ours: one or more of ONNX."""
        special = {"Linear": self._linear, "Activate": self._activate, "Locate": self._locate, "Lookup": self._lookup}
        if node.op in special:
            special[node.op](node)
        elif node.op == "Conv":
            self._conv(node)
        elif node.op in ("Attention", "Convert"):
            raise UnsupportedOperatorError(f"{node}: ONNX has no such operator; export the model before it is fused")
        else:
            self._finish(node, self._plain(node, node.op, node.inputs))

    def _plain(self, node: Node, op: str, inputs: tuple[str, ...]) -> str:
        """The node without its own attributes; returns the name that its result has for now."""
        kept = {key: _written(key, value) for key, value in node.attributes.items() if key not in OWN}
        fused = node.attributes.keys() & OWN
        outputs = [f"{node.outputs[0]}.bare"] if fused else list(node.outputs)
        self.nodes.append(onnx().helper.make_node(op, list(inputs), outputs, **kept))
        return outputs[0]

    def _add(self, op: str, inputs: list[str], out: str, **attributes: Any) -> str:
        self.nodes.append(onnx().helper.make_node(op, inputs, [out], **attributes))
        return out

    def _constant(self, name: str, array: Array) -> str:
        self._constants[name] = array
        return name

    def _finish(self, node: Node, name: str, alpha: str = "") -> None:
        """The clamp and activation of a fused node."""
        out = node.outputs[0]
        if name == out:
            return
        low, high = number(node, "low", -inf), number(node, "high", inf)
        kind = text(node, "activation", "identity")
        if low != -inf or high != inf:
            name = self._clip(out, name, low, high, last=kind == "identity")
        if kind == "identity":
            if name != out:
                self._add("Identity", [name], out)
        elif kind == "dice":
            self._dice(out, name, alpha)
        else:
            op = {"sigmoid": "Sigmoid", "tanh": "Tanh", "prelu": "PRelu"}[kind]
            self._add(op, [name, alpha] if alpha else [name], out)

    def _clip(self, out: str, name: str, low: float, high: float, *, last: bool) -> str:
        made = out if last else f"{out}.cut"
        if (low, high) == (0.0, inf):
            return self._add("Relu", [name], made)
        ends = [
            "" if abs(limit) == inf else self._constant(f"{out}.{end}", np.array(limit, np.float32))
            for end, limit in (("low", low), ("high", high))
        ]
        return self._add("Clip", [name, *ends], made)

    def _dice(self, out: str, name: str, alpha: str) -> None:
        rest = self._constant(f"{out}.rest", 1 - self._constants[alpha])
        p = self._add("Sigmoid", [name], f"{out}.p")
        gate = self._add("Add", [self._add("Mul", [p, rest], f"{out}.gate"), alpha], f"{out}.slope")
        self._add("Mul", [name, gate], out)

    def _activate(self, node: Node) -> None:
        self._finish(node, node.inputs[0], *node.inputs[1:])

    def _linear(self, node: Node) -> None:
        product = self._add("MatMul", list(node.inputs[:2]), f"{node.outputs[0]}.product")
        fused = node.attributes.keys() & OWN
        name = self._add("Add", [product, node.inputs[2]], f"{node.outputs[0]}.bare" if fused else node.outputs[0])
        self._finish(node, name, *node.inputs[3:])

    def _conv(self, node: Node) -> None:
        """The addend is a node of its own, and comes before the clamp."""
        if len(node.inputs) < 4:
            self._finish(node, self._plain(node, "Conv", node.inputs))
            return
        kept = {key: _written(key, value) for key, value in node.attributes.items() if key not in OWN}
        made = self._add("Conv", [name for name in node.inputs[:3] if name], f"{node.outputs[0]}.conv", **kept)
        fused = node.attributes.keys() & OWN
        total = self._add("Add", [made, node.inputs[3]], f"{node.outputs[0]}.bare" if fused else node.outputs[0])
        self._finish(node, total)

    def _locate(self, node: Node) -> None:
        """Ids become positions by a table over all ids; what lies beyond it, or below 0, is absent."""
        ids, items, out = node.inputs[0], self._constants[node.inputs[1]], node.outputs[0]
        size = int(items.max(initial=-1)) + 1
        if size > LARGEST_MAP:
            raise UnsupportedOperatorError(f"{node}: ids up to {size} need a table that is too large for ONNX")
        table = np.full(size + 1, len(items), np.int64)
        table[items] = np.arange(len(items))
        absent = self._constant(f"{out}.absent", np.array(size, np.int64))
        zero = self._constant(f"{out}.zero", np.array(0, np.int64))
        low = self._add("Where", [self._add("Less", [ids, zero], f"{out}.below"), absent, ids], f"{out}.from0")
        index = self._add("Where", [self._add("Less", [low, absent], f"{out}.inside"), low, absent], f"{out}.id")
        self._add("Gather", [self._constant(f"{out}.map", table), index], out, axis=0)
        if len(node.outputs) > 1:
            count = self._constant(f"{out}.count", np.array(len(items), np.int64))
            found = self._add("Less", [out, count], f"{out}.found")
            self._add("Cast", [found], node.outputs[1], to=onnx().TensorProto.FLOAT)

    def _lookup(self, node: Node) -> None:
        """Positions of Locate are rows: a Gather."""
        self._add("Gather", list(node.inputs), node.outputs[0], axis=0)


def _written(key: str, value: Any) -> Any:
    if key == "to":
        return onnx().helper.np_dtype_to_tensor_dtype(np.dtype(value))
    return list(value) if isinstance(value, tuple) else value
