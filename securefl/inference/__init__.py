"""Inference on the device: pre-inference, kernels and backends behind one `Session`."""

from __future__ import annotations

from .din import PADDING, Submodel, din_graph
from .errors import InputError, ModelError, UnsupportedOperatorError
from .graph import Graph
from .node import Node, Spec
from .prepared import load_prepared, save_prepared
from .session import Session
from .submodel import Ranker, load_submodel, save_submodel

__all__ = [
    "PADDING",
    "Graph",
    "InputError",
    "ModelError",
    "Node",
    "Ranker",
    "Session",
    "Spec",
    "Submodel",
    "UnsupportedOperatorError",
    "din_graph",
    "load_prepared",
    "load_submodel",
    "save_prepared",
    "save_submodel",
]
