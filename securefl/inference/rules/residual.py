"""A convolution whose result is only added to something else adds it itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..graph import Graph
from .matching import Matcher, fresh


def fuse_residual(graph: Graph) -> Graph:
    """Conv, then Add of a value of the same shape that is made before it: the Conv's fourth input."""
    while True:
        changed = _fuse_one(graph)
        if changed is None:
            return graph
        graph = changed


def _fuse_one(graph: Graph) -> Graph | None:
    matcher = Matcher(graph)
    for node in graph.nodes:
        if node.op != "Add" or node.attributes:
            continue
        for made, other in (node.inputs, node.inputs[::-1]):
            conv = matcher.only(made, "Conv")
            if conv is None or len(conv.inputs) > 3 or conv.attributes.get("high") or not _same(matcher, made, other):
                continue
            bias = conv.inputs[2] if len(conv.inputs) > 2 else ""
            name = bias or fresh(graph, f"{node.outputs[0]}.bias")
            new = {} if bias else {name: np.zeros(matcher.shape(made)[1], np.float32)}
            fused = replace(conv, inputs=(*conv.inputs[:2], name, other), outputs=node.outputs)
            return graph.changed([fused if n is node else n for n in graph.nodes if n is not conv], new)
    return None


def _same(matcher: Matcher, a: str, b: str) -> bool:
    return a != b and matcher.shape(a) == matcher.shape(b) and matcher.constant(b) is None
