"""What does not depend on the inputs is computed now."""

from __future__ import annotations

import numpy as np

from ..graph import Graph
from ..node import Node
from ..operators import compute
from .matching import Matcher

FOLD_AT_MOST = 1 << 24
"""Bytes: larger results stay computed, or a small file could ask for much memory."""


def fold_constants(graph: Graph) -> Graph:
    """Nodes of constants become constants, and so do shapes: those are known."""
    constants, kept = dict(graph.constants), list[Node]()
    for node in graph.nodes:
        small = sum(graph.specs[name].bytes for name in node.outputs) <= FOLD_AT_MOST
        if node.op == "Shape":
            constants[node.outputs[0]] = np.array(graph.specs[node.inputs[0]].shape, np.int64)
        elif small and all(not name or name in constants for name in node.inputs):
            results = compute(node, [constants[name] if name else None for name in node.inputs])
            constants.update(zip(node.outputs, results, strict=False))
        else:
            kept.append(node)
    return graph if len(kept) == len(graph.nodes) else graph.changed(kept, constants)


def drop_identities(graph: Graph) -> Graph:
    """Identity goes, and so do expansions and reshapes to the shape that is there."""
    names: dict[str, str] = {}
    kept = list[Node]()
    matcher = Matcher(graph)
    for node in graph.nodes:
        inputs = tuple(names.get(name, name) for name in node.inputs)
        renamed = Node(node.op, inputs, node.outputs, node.attributes)
        idle = node.op == "Identity" or (
            node.op in ("Reshape", "Expand", "Flatten") and matcher.shape(inputs[0]) == matcher.shape(node.outputs[0])
        )
        if idle and node.outputs[0] not in graph.outputs:
            names[node.outputs[0]] = inputs[0]
        else:
            kept.append(renamed)
    return graph if len(kept) == len(graph.nodes) else graph.changed(kept)
