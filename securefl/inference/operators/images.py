"""Convolution and pooling over images (n, channels, rows, columns)."""

from __future__ import annotations

from math import inf

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from native.nn import Window

from ..errors import ModelError, UnsupportedOperatorError
from ..node import Array, Node, Spec
from .arithmetic import activate
from .interface import Arrays, Operator, Specs, integer, integers, number, text


def window_of(node: Node, shape: tuple[int, ...], filters: int, kernel: tuple[int, int]) -> Window:
    """The geometry of a convolution or pooling of images of that shape."""
    if len(shape) != 4 or 0 in shape:
        raise UnsupportedOperatorError(f"{node}: it works on images (n, channels, rows, columns), not on shape {shape}")
    if integers(node, "dilations", (1, 1)) != (1, 1):
        raise UnsupportedOperatorError(f"{node}: dilation is not supported")
    stride, size = _pair(node, "strides", (1, 1)), (shape[2], shape[3])
    pads = _pads(node, size, kernel, stride)
    out = tuple(_out_size(node, size[i], kernel[i], stride[i], pads[i], pads[i + 2]) for i in (0, 1))
    return Window(shape[0], shape[1], size, filters, (out[0], out[1]), kernel, stride, (pads[0], pads[1]))


def _pair(node: Node, name: str, default: tuple[int, int] | None = None) -> tuple[int, int]:
    pair = integers(node, name, default)
    if len(pair) != 2 or min(pair) < 1 or max(pair) > 1 << 12:
        raise ModelError(f"{node}: {name} {pair} must be two numbers of 1 to 4096")
    return pair[0], pair[1]


def _pads(
    node: Node, size: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Top, left, bottom, right."""
    auto = text(node, "auto_pad", "NOTSET")
    if auto in ("NOTSET", "VALID"):
        pads = integers(node, "pads", (0, 0, 0, 0)) if auto == "NOTSET" else (0, 0, 0, 0)
    elif auto in ("SAME_UPPER", "SAME_LOWER"):
        total = [max((-(-n // s) - 1) * s + k - n, 0) for n, k, s in zip(size, kernel, stride, strict=True)]
        less, more = [n // 2 for n in total], [n - n // 2 for n in total]
        pads = (*less, *more) if auto == "SAME_UPPER" else (*more, *less)
    else:
        raise ModelError(f"{node}: auto_pad {auto!r} is none")
    if len(pads) != 4 or any(not 0 <= pad < kernel[i % 2] for i, pad in enumerate(pads)):
        raise UnsupportedOperatorError(f"{node}: pads {pads} must be four numbers below the kernel's {kernel}")
    return pads[0], pads[1], pads[2], pads[3]


def _out_size(node: Node, size: int, kernel: int, stride: int, before: int, after: int) -> int:
    room = size + before + after - kernel
    if room < 0:
        raise ModelError(f"{node}: a kernel of {kernel} does not fit into {size}")
    count = room // stride + 1
    if integer(node, "ceil_mode", 0) and room % stride and count * stride < size + before:
        count += 1  # the last window starts inside the image, and ends beyond it
    return count


def conv_window(node: Node, x: tuple[int, ...], weights: tuple[int, ...]) -> Window:
    """The geometry of a Conv, once its weights (filters, channels / group, rows, columns) fit."""
    group = integer(node, "group", 1)
    if len(weights) != 4 or len(x) != 4:
        raise UnsupportedOperatorError(f"{node}: only two-dimensional convolution is supported")
    kernel = (weights[2], weights[3])
    if (
        group < 1
        or weights[1] * group != x[1]
        or weights[0] % group
        or integers(node, "kernel_shape", kernel) != kernel
    ):
        raise ModelError(f"{node}: weights {weights} in {group} groups do not fit images {x}")
    return window_of(node, x, weights[0], kernel)


def _conv(node: Node, specs: Specs, _values: Arrays) -> tuple[Spec, ...]:
    window = conv_window(node, specs[0].shape, specs[1].shape)
    if len(specs) > 2 and specs[2] is not None and specs[2].shape != (window.out_channels,):
        raise ModelError(f"{node}: a bias of shape {specs[2].shape} does not fit {window.out_channels} filters")
    shape = (window.images, window.out_channels, *window.out_size)
    if len(specs) > 3 and specs[3] is not None and specs[3].shape != shape:
        raise ModelError(f"{node}: what is added has shape {specs[3].shape}, not {shape}")
    return (Spec(shape),)


def patches(x: Array, window: Window, filling: float) -> Array:
    """All windows of x: (n, channels, out rows, out columns, kernel rows, kernel columns)."""
    margins = [
        (
            window.pad[i],
            max(0, (window.out_size[i] - 1) * window.stride[i] + window.kernel[i] - window.pad[i] - window.size[i]),
        )
        for i in (0, 1)
    ]
    padded = np.pad(x, ((0, 0), (0, 0), *margins), constant_values=filling)
    views: Array = sliding_window_view(padded, window.kernel, axis=(2, 3))[
        :, :, :: window.stride[0], :: window.stride[1]
    ]
    return views[:, :, : window.out_size[0], : window.out_size[1]]


def _convolution(node: Node, x: Arrays) -> tuple[Array, ...]:
    images, weights = x[0], x[1]
    window, group = conv_window(node, images.shape, weights.shape), integer(node, "group", 1)
    views = patches(images, window, 0.0)
    n, channels = images.shape[:2]
    views = views.reshape(n, group, channels // group, *views.shape[2:])
    filters = weights.reshape(group, window.out_channels // group, *weights.shape[1:])
    out = np.einsum("ngcyxij,gfcij->ngfyx", views, filters, optimize=True)
    out = out.reshape(n, window.out_channels, *window.out_size).astype(np.float32, copy=False)
    if len(x) > 2 and x[2] is not None:
        out = out + x[2][:, None, None]
    if len(x) > 3 and x[3] is not None:
        out = out + x[3]
    return (activate(node, out, None),)


def pool_window(node: Node, shape: tuple[int, ...]) -> Window:
    """The geometry of a pooling."""
    channels = shape[1] if len(shape) > 1 else 0
    if node.op == "GlobalAveragePool":
        return Window(shape[0], channels, (shape[2], shape[3]), channels, (1, 1), (shape[2], shape[3]), (1, 1), (0, 0))
    return window_of(node, shape, channels, _pair(node, "kernel_shape"))


def _pool(node: Node, specs: Specs, _values: Arrays) -> tuple[Spec, ...]:
    shape = specs[0].shape
    if node.op == "GlobalAveragePool" and (len(shape) != 4 or 0 in shape):
        raise UnsupportedOperatorError(f"{node}: it works on images (n, channels, rows, columns), not on shape {shape}")
    window = pool_window(node, shape)
    return (Spec((window.images, window.channels, *window.out_size)),)


def _pooled(node: Node, x: Arrays) -> tuple[Array, ...]:
    window = pool_window(node, x[0].shape)
    if node.op == "MaxPool":
        return (patches(x[0], window, -inf).max(axis=(4, 5)),)
    total = patches(x[0], window, 0.0).sum(axis=(4, 5))
    if integer(node, "count_include_pad", 0) or node.op == "GlobalAveragePool":
        return (total / np.float32(window.kernel[0] * window.kernel[1]),)
    return (total / patches(np.ones_like(x[0][:1, :1]), window, 0.0).sum(axis=(4, 5)),)


def _normalization(node: Node, specs: Specs, _values: Arrays) -> tuple[Spec, ...]:
    if integer(node, "training_mode", 0):
        raise UnsupportedOperatorError(f"{node}: training mode is not supported")
    if len(specs[0].shape) < 2 or any(spec.shape != specs[0].shape[1:2] for spec in specs[1:5]):
        raise ModelError(f"{node}: its parameters do not fit {specs[0].shape}")
    return (specs[0],)


def scale_and_shift(node: Node, parameters: Arrays) -> tuple[Array, Array]:
    """A BatchNormalization at inference is x * scale + shift, by channel: (channels,) each."""
    gamma, beta, mean, variance = (np.asarray(array, np.float64) for array in parameters)
    scale = gamma / np.sqrt(variance + number(node, "epsilon", 1e-5))
    return scale.astype(np.float32), (beta - mean * scale).astype(np.float32)


def _normalized(node: Node, x: Arrays) -> tuple[Array, ...]:
    shape = (-1, *(1,) * (x[0].ndim - 2))
    scale, shift = scale_and_shift(node, x[1:5])
    return (x[0] * scale.reshape(shape) + shift.reshape(shape),)


OPERATORS = {
    "Conv": Operator(_conv, _convolution, 2, 4),
    "MaxPool": Operator(_pool, _pooled),
    "AveragePool": Operator(_pool, _pooled),
    "GlobalAveragePool": Operator(_pool, _pooled),
    "BatchNormalization": Operator(_normalization, _normalized, 5, 5),
}
