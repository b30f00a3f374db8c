"""Convolution and pooling: in blocked layout, by the algorithm that the cost model finds cheapest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from native.nn import Window

from ...node import Array, Node
from ...operators.images import conv_window, pool_window
from ...operators.interface import integer
from ...winograd import Winograd, floats, winograd
from ..interface import Buffers, Choice
from .dense import constant_inputs
from .lowering import Context, Lowering, Steps, limits

TILES = (2, 4)
"""Outputs of Winograd tiles that are considered; from 6 on, float32 loses too many digits."""
CACHES = (640 << 10, 2 << 20)
"""Bytes of transformed tiles that are multiplied at a time: what stays in the cache, and what saves reading weights."""
STRIP = 192 << 10
"""Bytes of padded input lines that stay there."""


@dataclass(frozen=True, slots=True)
class Way:
    """One algorithm for one convolution."""

    choice: Choice
    planar: bool = False
    lines: int = 1
    """Output lines of a padded strip."""
    transform: Winograd | None = None
    tiles: int = 0
    strassen: bool = False


def _rounded(count: int, unit: int) -> int:
    return -(-count // unit) * unit


def _is_depthwise(c: Context, node: Node) -> bool:
    filters, inside = c.shape(node.inputs[1])[:2]
    return inside == 1 and integer(node, "group", 1) == filters == c.shape(node.inputs[0])[1]


def window(c: Context, node: Node) -> Window:
    """The geometry of a Conv."""
    return conv_window(node, c.shape(node.inputs[0]), c.shape(node.inputs[1]))


def _supports(c: Context, node: Node) -> bool:
    fixed = constant_inputs(c, _without_addend(node), 1)
    depthwise = _is_depthwise(c, node) and len(node.inputs) < 4
    return fixed and (depthwise or integer(node, "group", 1) == 1)


def _without_addend(node: Node) -> Node:
    return Node(node.op, node.inputs[:3], node.outputs, node.attributes)


def _work(c: Context, w: Window, planar: bool) -> tuple[int, int, int]:
    """Rows of a product's line, multiplications in all, and bytes of weights."""
    plain = w.kernel == w.stride == (1, 1) and w.pad == (0, 0) and not planar
    rows = w.out_size[0] * w.out_size[1] if plain else w.out_size[1]
    depth = (w.channels if planar else _rounded(w.channels, c.kernels.width)) * w.kernel[0] * w.kernel[1]
    filters = _rounded(w.out_channels, c.kernels.width)
    return rows, w.images * w.out_size[0] * w.out_size[1] * depth * filters, 4 * depth * filters


def _direct(c: Context, w: Window, planar: bool) -> Way:
    """One product for each strip of lines."""
    rows, products, weights = _work(c, w, planar)
    lane_bytes = 4 * (w.channels if planar else _rounded(w.channels, c.kernels.width)) * w.stride[0]
    line = lane_bytes * ((w.out_size[1] - 1) * w.stride[1] + w.kernel[1])
    lines = max(1, min(w.out_size[0], STRIP // line))
    strips = 0 if w.pad == (0, 0) else w.images * w.out_size[0] * line
    seconds = max(products * c.rates.rows(rows), weights * c.rates.weight) + strips * c.rates.moved + c.rates.step
    scratch = 4 * c.kernels.conv_scratch(w, planar=planar, lines=lines)
    name = "direct, planar input" if planar else "matrix product" if w.kernel == (1, 1) else "direct"
    return Way(Choice(name, seconds, scratch, f"tiles of {rows} pixels"), planar, lines)


def _by_strassen(c: Context, w: Window) -> Way:
    """One level: 7 products of an eighth each, and sums (Winograd's form)."""
    pixels, k = w.out_size[0] * w.out_size[1], c.kernels
    products = w.images * pixels * w.channels * w.out_channels * 7 / 8 * c.rates.rows(pixels // 2)
    weights = 7 * w.channels * w.out_channels * c.rates.weight
    added = w.images * pixels * (4 * w.channels + 5 * w.out_channels) * 4 * c.rates.moved
    scratch = 4 * k.strassen_scratch(w.channels, w.out_channels, pixels)
    seconds = products + weights + added + 7 * c.rates.step  # short products hide no weights
    return Way(Choice("Strassen", seconds, scratch, "7 products for 8", divisible=False), strassen=True)


def _halves(c: Context, w: Window, node: Node) -> bool:
    """Whether Strassen's product can be used: plain products whose sides can be cut in two."""
    pixels, unit = w.out_size[0] * w.out_size[1], 2 * c.kernels.width
    even = w.channels % unit == 0 and w.out_channels % unit == 0 and pixels % 2 == 0
    return w.kernel == w.stride == (1, 1) and w.pad == (0, 0) and even and len(node.inputs) < 4


def _by_winograd(c: Context, w: Window, tile: int, cache: int) -> Way:
    """F(tile, kernel): fewer multiplications, more weights, and transforms."""
    f, unit = winograd(tile, w.kernel[0]), c.kernels.width
    channels, filters = _rounded(w.channels, unit), _rounded(w.out_channels, unit)
    across, down = (-(-size // tile) for size in w.out_size)
    squares, every = f.size**2, across * down
    most = max(len(c.rates.product), cache // (4 * squares * (channels + filters)))
    blocks = -(-every // most)
    tiles = -(-every // blocks)
    product = squares * w.images * every * channels * filters * c.rates.rows(tiles)
    weights = blocks * w.images * squares * channels * filters * 4 * c.rates.weight
    turned = w.images * every * (2 * f.size**3 * channels + (f.size + tile) * f.size * tile * filters)
    scratch = 4 * c.kernels.winograd_scratch(w, f.size, tiles)
    spilled = w.images * blocks * scratch * c.rates.moved if scratch > CACHES[0] else 0.0
    seconds = max(product, weights) + turned * c.rates.transformed + spilled + c.rates.step
    return Way(Choice(f"Winograd F({tile}, {w.kernel[0]})", seconds, scratch, f"{tiles} tiles"), False, 1, f, tiles)


def _ways(c: Context, w: Window, node: Node) -> Iterator[Way]:
    if w.channels < c.kernels.width:
        yield _direct(c, w, planar=True)
    yield _direct(c, w, planar=False)
    if _halves(c, w, node):
        yield _by_strassen(c, w)
    if w.stride == (1, 1) and w.kernel[0] == w.kernel[1] and w.kernel[0] in (3, 5, 7):
        for cache in CACHES:
            yield from (_by_winograd(c, w, tile, cache) for tile in TILES if tile + w.kernel[0] - 1 <= 8)


def best_way(c: Context, node: Node) -> Way:
    """The cheapest algorithm of those that are allowed."""
    ways = list(_ways(c, window(c, node), node))
    allowed = [way for way in ways if way.choice.algorithm in c.options.algorithms] or ways
    return min(allowed, key=lambda way: way.choice.seconds)


def _cost(c: Context, node: Node) -> Choice:
    if not _is_depthwise(c, node):
        return best_way(c, node).choice
    w = window(c, node)
    outputs = c.graph.specs[node.outputs[0]].size
    seconds = c.rates.step + outputs * (4 * c.rates.moved + w.kernel[0] * w.kernel[1] * 3 * c.rates.product[-1])
    return Choice("depthwise", seconds)


def _bias(c: Context, node: Node) -> Array:
    name = node.inputs[2] if len(node.inputs) > 2 else ""
    if name:
        return c.once(f"{name}/bias", lambda: c.kernels.pad(c.constant(name)))
    filters = c.shape(node.inputs[1])[0]
    return c.once(f"{node.inputs[1]}/no bias", lambda: c.kernels.pad(np.zeros(filters, np.float32)))


def _conv(c: Context, node: Node, buffers: Buffers) -> Steps:
    if _is_depthwise(c, node):
        return _depthwise(c, node, buffers)
    w, way, k = window(c, node), best_way(c, node), c.kernels
    out, x = buffers[node.outputs[0]].reshape(-1), buffers[node.inputs[0]]
    add = buffers[node.inputs[3]] if len(node.inputs) > 3 else None
    scratch, bias = buffers.scratch(node), _bias(c, node)
    if way.strassen:
        shape, pixels = c.shape(node.inputs[1]), w.out_size[0] * w.out_size[1]
        quarters = c.once(f"{node.inputs[1]}/strassen", lambda: k.pack_strassen(_matrix(c, node.inputs[1])))
        sizes = (w.images, shape[1], shape[0], pixels)
        return [k.strassen(sizes, out, x, quarters, bias, scratch, **limits(node))]
    if way.transform is None:
        weights = _panels(c, node.inputs[1], 1 if way.planar else k.width)
        return [k.conv(w, out, x, weights, bias, scratch, planar=way.planar, add=add, **limits(node))]
    f, weights = way.transform, _transformed(c, node.inputs[1], way.transform)
    matrices = (
        c.once(f"winograd {f.tile} {f.kernel}/input", lambda: floats(f.input)),
        c.once(f"winograd {f.tile} {f.kernel}/output", lambda: floats(f.output)),
    )
    step = k.winograd(
        w, out, x, weights, bias, scratch, matrices, pairs=f.pairs, tiles=way.tiles, add=add, **limits(node)
    )
    return [step]


def _matrix(c: Context, name: str) -> Array:
    """Weights of a 1x1 convolution as (channels, filters)."""
    return np.ascontiguousarray(c.constant(name)[:, :, 0, 0].T)


def _panels(c: Context, name: str, lanes: int) -> Array:
    """Weights (filters, channels, rows, columns) as panels of depth [block][row][column][lane]."""

    def make() -> Array:
        weights = np.ascontiguousarray(c.constant(name))
        return c.kernels.pack_rows(weights, _tap_order(weights.shape, lanes))

    return c.once(f"{name}/{'planar' if lanes == 1 else 'panels'}", make)


def _tap_order(shape: tuple[int, ...], lanes: int) -> Array:
    """Where, in a filter, each item of a panel's depth stands; -1 in lanes without a channel."""
    _, channels, rows, columns = shape
    places = np.arange(channels * rows * columns, dtype=np.int64).reshape(channels, rows, columns)
    padded = np.pad(places, ((0, -channels % lanes), (0, 0), (0, 0)), constant_values=-1)
    return padded.reshape(-1, lanes, rows, columns).transpose(0, 2, 3, 1).reshape(-1).copy()


def _transformed(c: Context, name: str, f: Winograd) -> Array:
    """Winograd's weights: size^2 packed matrices (channels in whole vectors, filters)."""

    def make() -> Array:
        return c.kernels.pack_filters(np.ascontiguousarray(c.constant(name)), floats(f.filter))

    return c.once(f"{name}/winograd {f.tile}", make)


def _depthwise(c: Context, node: Node, buffers: Buffers) -> Steps:
    w, name = window(c, node), node.inputs[1]

    def lanes() -> Array:
        weights = c.constant(name)
        padded = np.pad(weights[:, 0], ((0, -len(weights) % c.kernels.width), (0, 0), (0, 0)))
        return padded.reshape(-1, c.kernels.width, *w.kernel).transpose(0, 2, 3, 1)

    weights = c.once(f"{name}/lanes", lanes)
    bias = _bias(c, node)[: _rounded(w.channels, c.kernels.width)]
    out, x = buffers[node.outputs[0]], buffers[node.inputs[0]]
    return [c.kernels.depthwise(w, out, x, weights, bias, **limits(node))]


def _pool(c: Context, node: Node, buffers: Buffers) -> Steps:
    counted = integer(node, "count_include_pad", 0)
    kind = "max" if node.op == "MaxPool" else "mean_padded" if counted else "mean"
    w = pool_window(node, c.shape(node.inputs[0]))
    return [c.kernels.pool(w, buffers[node.outputs[0]], buffers[node.inputs[0]], kind)]


def _pool_cost(c: Context, node: Node) -> Choice:
    w, out = pool_window(node, c.shape(node.inputs[0])), c.graph.specs[node.outputs[0]]
    return Choice("vector", c.rates.step + out.bytes * w.kernel[0] * w.kernel[1] * c.rates.moved)


_pooling = Lowering(lambda c, node: len(c.shape(node.inputs[0])) == 4, _pool_cost, _pool)
LOWERINGS = {
    "Conv": Lowering(_supports, _cost, _conv),
    **dict.fromkeys(("MaxPool", "AveragePool", "GlobalAveragePool"), _pooling),
}
