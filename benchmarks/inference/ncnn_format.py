"""An ONNX image net as ncnn's two files, for the operators that these nets have. ncnn fuses ReLU, so do we."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, helper, numpy_helper

MAGIC = "7767517"
FLOAT32 = b"\0\0\0\0"
"""Stands before weights in the .bin file."""
POOL_FULL, POOL_VALID = 0, 1


def write_ncnn(model: ModelProto, folder: Path, name: str) -> tuple[Path, Path]:
    """Write name.param and name.bin; the input is blob "in0", the output "out0"."""
    writer = _Writer(model)
    for node in model.graph.node:
        writer.add(node)
    return writer.finish(folder, name)


class _Writer:
    def __init__(self, model: ModelProto) -> None:
        graph = model.graph
        self.weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        self.lines, self.data = ["Input in0 0 1 in0"], list[bytes]()
        uses = Counter(name for node in graph.node for name in node.input)
        self.relu = {node.input[0] for node in graph.node if node.op_type == "Relu" and uses[node.input[0]] == 1}
        self.names = {graph.input[0].name: "in0"}
        self.copies: dict[str, list[str]] = {}
        self.uses, self.output, self.blobs = uses, graph.output[0].name, 1
        self._split(graph.input[0].name)

    def add(self, node: Any) -> None:
        """One layer."""
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        kinds = {
            "Conv": self._conv, "MaxPool": self._pool, "GlobalAveragePool": self._mean, "Gemm": self._gemm,
            "Concat": self._concat, "Add": self._sum, "Relu": self._relu, "Flatten": self._flatten,
        }  # fmt: skip
        kinds[node.op_type](node, attributes)

    def finish(self, folder: Path, name: str) -> tuple[Path, Path]:
        """The files."""
        param, data = folder / f"{name}.param", folder / f"{name}.bin"
        param.write_text("\n".join([MAGIC, f"{len(self.lines)} {self.blobs}", *self.lines]) + "\n")
        data.write_bytes(b"".join(self.data))
        return param, data

    def _take(self, name: str) -> str:
        """The blob of a value: ncnn wants one for each reader."""
        return self.copies[name].pop() if name in self.copies else self.names[name]

    def _split(self, name: str) -> None:
        count = self.uses[name]
        if count > 1:
            blobs = [f"{self.names[name]}_{i}" for i in range(count)]
            self.lines.append(f"Split s{len(self.lines)} 1 {count} {self.names[name]} {' '.join(blobs)}")
            self.blobs += count
            self.copies[name] = blobs

    def _layer(self, kind: str, node: Any, inputs: list[str], parameters: dict[int, object]) -> None:
        blobs = [self._take(name) for name in inputs]
        out = "out0" if node.output[0] == self.output else f"b{self.blobs}"
        self.blobs += 1
        self.names[node.output[0]] = out
        text = " ".join(f"{key}={value}" for key, value in parameters.items())
        self.lines.append(f"{kind} l{len(self.lines)} {len(blobs)} 1 {' '.join(blobs)} {out} {text}")
        self._split(node.output[0])

    def _weigh(self, *names: str) -> None:
        first, *rest = (np.ascontiguousarray(self.weights[name], np.float32).tobytes() for name in names)
        self.data += [FLOAT32, first, *rest]

    def _conv(self, node: Any, a: dict[str, Any]) -> None:
        weights = self.weights[node.input[1]]
        fused = 1 if node.output[0] in self.relu else 0
        shape = {
            0: weights.shape[0],
            1: a["kernel_shape"][1],
            11: a["kernel_shape"][0],
            3: a["strides"][0],
            4: a["pads"][0],
        }
        parameters: dict[int, object] = {**shape, 5: 1, 6: weights.size, 9: fused}
        if a["group"] > 1:
            parameters[7] = a["group"]
        self._layer("ConvolutionDepthWise" if a["group"] > 1 else "Convolution", node, [node.input[0]], parameters)
        self._weigh(*node.input[1:])

    def _pool(self, node: Any, a: dict[str, Any]) -> None:
        mode = POOL_FULL if a.get("ceil_mode") else POOL_VALID
        sizes = {1: a["kernel_shape"][0], 2: a["strides"][0], 3: a.get("pads", [0])[0]}
        self._layer("Pooling", node, [node.input[0]], {0: 0, **sizes, 5: mode})

    def _mean(self, node: Any, _a: dict[str, Any]) -> None:
        self._layer("Pooling", node, [node.input[0]], {0: 1, 4: 1})

    def _gemm(self, node: Any, _a: dict[str, Any]) -> None:
        weights = self.weights[node.input[1]]
        self._layer("InnerProduct", node, [node.input[0]], {0: weights.shape[0], 1: 1, 2: weights.size})
        self._weigh(*node.input[1:])

    def _concat(self, node: Any, _a: dict[str, Any]) -> None:
        self._layer("Concat", node, list(node.input), {0: 0})

    def _sum(self, node: Any, _a: dict[str, Any]) -> None:
        self._layer("BinaryOp", node, list(node.input), {0: 0})

    def _relu(self, node: Any, _a: dict[str, Any]) -> None:
        fused = node.input[0] in self.relu and self.names[node.input[0]].startswith("b")
        made = self.lines[-1]
        if fused and made.startswith("Convolution") and made.split()[5] == self.names[node.input[0]]:
            self.names[node.output[0]] = self.names[node.input[0]]
            self._split(node.output[0])
        else:
            self._layer("ReLU", node, [node.input[0]], {})

    def _flatten(self, node: Any, _a: dict[str, Any]) -> None:
        self._layer("Flatten", node, [node.input[0]], {})
