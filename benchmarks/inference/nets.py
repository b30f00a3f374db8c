"""The nets, built with `onnx` from seeded weights: none is downloaded, none is trained.

Every convolution carries a bias, as after batch normalization has been folded: the engines fold it alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, checker, helper, numpy_helper

Array = NDArray[Any]
HISTORY, ITEMS, CATEGORIES, USERS = 50, 50_000, 1_000, 20_000


@dataclass
class Net:
    """Nodes and weights as they are added."""

    seed: int
    nodes: list[Any] = field(default_factory=list)
    weights: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)

    def constant(self, array: Array) -> str:
        """A weight; its name."""
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def normal(self, *shape: int, scale: float) -> str:
        """Normal weights."""
        return self.constant(self.random.standard_normal(shape, np.float32) * np.float32(scale))

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """A node; its output."""
        out = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [out], **attributes))
        return out

    def conv(
        self,
        x: str,
        channels: int,
        filters: int,
        kernel: int,
        stride: int = 1,
        *,
        group: int = 1,
        pad: int | None = None,
    ) -> str:
        """A convolution with its bias."""
        inside = channels // group
        weights = self.normal(filters, inside, kernel, kernel, scale=(2 / (inside * kernel**2)) ** 0.5)
        pads = [kernel // 2 if pad is None else pad] * 4
        shape = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": pads, "group": group}
        return self.op("Conv", x, weights, self.normal(filters, scale=0.01), **shape)

    def conv_relu(self, *arguments: Any, **named: Any) -> str:
        """The same with a ReLU."""
        return self.op("Relu", self.conv(*arguments, **named))

    def dense(self, x: str, size: int, columns: int) -> str:
        """x W + b."""
        product = self.op("MatMul", x, self.normal(size, columns, scale=(2 / size) ** 0.5))
        return self.op("Add", product, self.normal(columns, scale=0.01))

    def classes(self, x: str, channels: int) -> str:
        """Global mean and a layer of 1000 classes."""
        x = self.op("Flatten", self.op("GlobalAveragePool", x), axis=1)
        weights = self.normal(1000, channels, scale=channels**-0.5)
        return self.op("Gemm", x, weights, self.constant(np.zeros(1000, np.float32)), transB=1)

    def model(self, out: str, inputs: dict[str, tuple[Any, tuple[int, ...]]], shape: tuple[int, ...]) -> ModelProto:
        """The checked model; its output is called "output"."""
        self.nodes[-1].output[0] = "output" if self.nodes[-1].output[0] == out else self.nodes[-1].output[0]
        ins = [helper.make_tensor_value_info(name, kind, size) for name, (kind, size) in inputs.items()]
        outs = [helper.make_tensor_value_info("output", TensorProto.FLOAT, shape)]
        graph = helper.make_graph(self.nodes, "net", ins, outs, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        checker.check_model(model)
        return model


def _image_net(net: Net, out: str, size: int = 224) -> ModelProto:
    return net.model(out, {"input": (TensorProto.FLOAT, (1, 3, size, size))}, (1, 1000))


def mobilenet() -> ModelProto:
    """MobileNet-v1, width 1.0."""
    net = Net(1)
    x, channels = net.conv_relu("input", 3, 32, 3, 2), 32
    layers = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    for filters, stride in layers:
        x = net.conv_relu(x, channels, channels, 3, stride, group=channels)
        x, channels = net.conv_relu(x, channels, filters, 1), filters
    return _image_net(net, net.classes(x, channels))


def mobilenet_v2() -> ModelProto:
    """MobileNet-v2, width 1.0."""
    net = Net(5)

    def relu6(x: str) -> str:
        return net.op("Clip", x, net.constant(np.array(0, np.float32)), net.constant(np.array(6, np.float32)))

    x, channels = relu6(net.conv("input", 3, 32, 3, 2)), 32
    for grow, filters, count, first in [
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
    ]:  # fmt: skip
        for stride in [first, *[1] * (count - 1)]:
            wide, y = channels * grow, x
            y = relu6(net.conv(y, channels, wide, 1)) if grow > 1 else y
            y = net.conv(relu6(net.conv(y, wide, wide, 3, stride, group=wide)), wide, filters, 1)
            x, channels = (net.op("Add", x, y) if stride == 1 and channels == filters else y), filters
    return _image_net(net, net.classes(relu6(net.conv(x, channels, 1280, 1)), 1280))


def squeezenet() -> ModelProto:
    """SqueezeNet 1.1."""
    net = Net(2)

    def pool(x: str) -> str:
        return net.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)

    x, channels = pool(net.conv_relu("input", 3, 64, 3, 2, pad=0)), 64
    for squeezed, half in [
        (16, 64),
        (16, 64),
        (0, 0),
        (32, 128),
        (32, 128),
        (0, 0),
        (48, 192),
        (48, 192),
        (64, 256),
        (64, 256),
    ]:
        if not half:
            x = pool(x)
            continue
        small = net.conv_relu(x, channels, squeezed, 1)
        x = net.op("Concat", net.conv_relu(small, squeezed, half, 1), net.conv_relu(small, squeezed, half, 3), axis=1)
        channels = 2 * half
    x = net.op("GlobalAveragePool", net.conv_relu(x, channels, 1000, 1))
    return _image_net(net, net.op("Flatten", x, axis=1))


def resnet18() -> ModelProto:
    """ResNet-18."""
    net = Net(3)
    x, channels = net.conv_relu("input", 3, 64, 7, 2), 64
    x = net.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    for filters, stride in [(64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)]:
        y = net.conv(net.conv_relu(x, channels, filters, 3, stride), filters, filters, 3)
        short = x if stride == 1 and channels == filters else net.conv(x, channels, filters, 1, stride)
        x, channels = net.op("Relu", net.op("Add", y, short)), filters
    return _image_net(net, net.classes(x, channels))


def lenet() -> ModelProto:
    """LeNet-5 on images of 32 by 32."""
    net = Net(6)
    x = net.op("Tanh", net.conv("input", 1, 6, 5, pad=0))
    x = net.op("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = net.op("AveragePool", net.op("Tanh", net.conv(x, 6, 16, 5, pad=0)), kernel_shape=[2, 2], strides=[2, 2])
    x = net.op("Tanh", net.dense(net.op("Flatten", x, axis=1), 400, 120))
    x = net.dense(net.op("Tanh", net.dense(x, 120, 84)), 84, 10)
    return net.model(x, {"input": (TensorProto.FLOAT, (1, 1, 32, 32))}, (1, 10))


def din(width: int, batch: int) -> ModelProto:
    """DIN (Zhou et al. 2018) as it is usually exported: everything spread out, one sample a row."""
    net, wide = Net(4), 2 * width
    item, category, user = (net.normal(rows, width, scale=0.1) for rows in (ITEMS, CATEGORIES, USERS))
    q = net.op("Concat", net.op("Gather", item, "item"), net.op("Gather", category, "cat"), axis=1)
    k = net.op("Concat", net.op("Gather", item, "hist_item"), net.op("Gather", category, "hist_cat"), axis=2)
    one, shape = net.constant(np.array([1], np.int64)), net.constant(np.array([batch, HISTORY, wide], np.int64))
    spread = net.op("Expand", net.op("Unsqueeze", q, one), shape)
    x = net.op("Concat", spread, k, net.op("Sub", spread, k), net.op("Mul", spread, k), axis=2)
    x = net.op("Sigmoid", net.dense(net.op("Sigmoid", net.dense(x, 4 * wide, 80)), 80, 40))
    x = net.op("Reshape", net.dense(x, 40, 1), net.constant(np.array([batch, 1, HISTORY], np.int64)))
    mask = net.op("Unsqueeze", "mask", one)
    x = net.op("Mul", net.op("Mul", x, net.constant(np.array(wide**-0.5, np.float32))), mask)
    lacking = net.op("Sub", mask, net.constant(np.array(1, np.float32)))
    penalty = net.op("Mul", lacking, net.constant(np.array(1e9, np.float32)))
    share = net.op("Softmax", net.op("Add", x, penalty), axis=2)
    pooled = net.op("Reshape", net.op("MatMul", share, k), net.constant(np.array([batch, wide], np.int64)))
    column = net.op("Unsqueeze", "mask", net.constant(np.array([2], np.int64)))
    total = net.op("ReduceSum", net.op("Mul", k, column), one, keepdims=0)
    x = net.op("Concat", net.op("Gather", user, "user"), q, total, net.op("Mul", q, total), pooled, axis=1)
    size = width + 4 * wide
    for columns in (200, 80):
        x = net.op("PRelu", net.dense(x, size, columns), net.constant(np.full(columns, 0.25, np.float32)))
        size = columns
    x = net.op("Softmax", net.dense(x, size, 2), axis=1)
    ids: dict[str, tuple[Any, tuple[int, ...]]] = dict.fromkeys(("user", "item", "cat"), (TensorProto.INT32, (batch,)))
    ids |= dict.fromkeys(("hist_item", "hist_cat"), (TensorProto.INT32, (batch, HISTORY)))
    return net.model(x, ids | {"mask": (TensorProto.FLOAT, (batch, HISTORY))}, (batch, 2))


IMAGES: dict[str, Callable[[], ModelProto]] = {
    "mobilenet": mobilenet,
    "squeezenet": squeezenet,
    "resnet18": resnet18,
}
DINS = {f"din{width}_b{batch}": (width, batch) for width in (18, 64) for batch in (1, 256)}


def image_inputs(size: int = 224, channels: int = 3) -> dict[str, Array]:
    """One image of normal noise."""
    return {"input": np.random.default_rng(7).standard_normal((1, channels, size, size), np.float32)}


def din_inputs(batch: int) -> dict[str, Array]:
    """Random ids; histories of every length from 1 to HISTORY, padded."""
    random = np.random.default_rng(7)
    rows = {"user": USERS, "item": ITEMS, "cat": CATEGORIES, "hist_item": ITEMS, "hist_cat": CATEGORIES}
    ids = {
        name: random.integers(0, count, (batch, HISTORY) if name.startswith("hist") else batch).astype(np.int32)
        for name, count in rows.items()
    }
    lengths = random.integers(1, HISTORY + 1, (batch, 1))
    return ids | {"mask": (np.arange(HISTORY) < lengths).astype(np.float32)}
