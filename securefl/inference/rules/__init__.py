"""Rewrite rules: each takes a graph to one that computes the same with less work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from ..graph import Graph
from .activation import fuse_activations, fuse_dice
from .affine import fold_affine, fold_normalization
from .attention import factor_attention, fuse_attention
from .fold import drop_identities, fold_constants
from .linear import form_linear
from .residual import fuse_residual

__all__ = ["RULES", "SIMPLIFY", "rewrite"]

Rule: TypeAlias = Callable[[Graph], Graph]

SIMPLIFY: tuple[Rule, ...] = (fold_constants, drop_identities)
"""What even a backend that fuses by itself gets."""
ALGEBRA: tuple[Rule, ...] = (*SIMPLIFY, fold_normalization, form_linear, fold_affine, factor_attention)
"""Fewer multiplications, in ONNX's own operators and Linear."""
RULES: tuple[Rule, ...] = (*ALGEBRA, fuse_dice, fuse_attention, fuse_residual, fuse_activations)
"""All of them."""


def rewrite(graph: Graph, rules: Sequence[Rule] = RULES) -> tuple[Graph, dict[str, int]]:
    """Apply the rules in order; how many nodes each took away (negative: added) stands beside the graph."""
    saved: dict[str, int] = {}
    for rule in rules:
        before = graph
        graph = rule(graph)
        if graph is not before:
            saved[rule.__name__] = saved.get(rule.__name__, 0) + len(before.nodes) - len(graph.nodes)
    return graph, saved
