"""A trained DIN as a graph: the client's rows, its own embedding, and ids of items as inputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from securefl.models.layers import NORM_EPSILON
from securefl.models.network import views

from .errors import ModelError
from .graph import Graph
from .node import INT64, Array, Node, Spec

__all__ = ["PADDING", "Submodel", "din_graph"]

PADDING = -1
"""Stands in a history where it is shorter than others; no item has this id."""
LARGE = 1e9


@dataclass(frozen=True, eq=False)
class Submodel:
    """What a client holds of a trained DIN of width d.

    `dense` float32 (D,), as in `securefl.models.DIN`; `items` int64 (R,), sorted; `rows` float32 (R, 2d): the
    item's row and its category's; `user` float32 (d,), which never leaves the device.
    """

    dense: NDArray[np.float32]
    items: NDArray[np.int64]
    rows: NDArray[np.float32]
    user: NDArray[np.float32]

    def __post_init__(self) -> None:
        width = len(self.user)
        if self.rows.shape != (len(self.items), 2 * width) or self.dense.ndim != 1:
            raise ModelError(f"a submodel of {len(self.items)} items at width {width} has rows of {self.rows.shape}")
        if len(self.items) > 1 and not (self.items[1:] > self.items[:-1]).all():
            raise ModelError("the items of a submodel must be sorted and distinct; use numpy.unique")
        if len(self.items) and self.items[0] < 0:
            raise ModelError("the items of a submodel must not be negative")


def din_graph(model: Submodel, candidates: int, history: int) -> Graph:
    """Scores of `candidates` items for histories of `history`: `target` (B,), `history` (B, L) -> `chance` (B, 1).

    Both inputs are int64 ids of items. A history item that the submodel lacks, or PADDING, does not count; a target it
    lacks has the row of an average item, which is 0. `chance` is the probability of a click.
    """
    builder = _Builder(model, candidates, history)
    query, keys, mask = builder.embed()
    pooled = builder.attend(query, keys, mask)
    chance = builder.predict(query, keys, mask, pooled)
    inputs = {
        "target": Spec((candidates,), INT64),
        "history": Spec((candidates, history), INT64),
    }
    return Graph(tuple(builder.nodes), inputs, (chance,), builder.constants).with_specs()


class _Builder:
    """Nodes as they are added; constants under the trainer's names."""

    def __init__(self, model: Submodel, candidates: int, history: int) -> None:
        if candidates < 1 or history < 1:
            raise ModelError(f"{candidates} candidates with {history} history items: both must be at least 1")
        self.nodes = list[Node]()
        self.width, self.candidates, self.history = len(model.user), candidates, history
        default = np.zeros((1, 2 * self.width), np.float32)
        self.constants: dict[str, Array] = {
            **views(model.dense, self.width),
            "items": model.items,
            "rows": np.concatenate([model.rows, default]),
            "user": np.tile(model.user, (candidates, 1)),
            "axis1": np.array([1], np.int64),
            "axis2": np.array([2], np.int64),
            "one": np.array(1, np.float32),
            "large": np.array(LARGE, np.float32),
            "scale": np.array((2 * self.width) ** -0.5, np.float32),
        }

    def add(self, op: str, *inputs: str, out: str, **attributes: int) -> str:
        self.nodes.append(Node(op, inputs, (out,), attributes))
        return out

    def embed(self) -> tuple[str, str, str]:
        """Query (B, 2d), keys (B, L, 2d) and their mask (B, L)."""
        self.nodes.append(Node("Locate", ("target", "items"), ("target.at",)))
        self.nodes.append(Node("Locate", ("history", "items"), ("history.at", "mask")))
        query = self.add("Lookup", "rows", "target.at", out="query")
        return query, self.add("Lookup", "rows", "history.at", out="keys"), "mask"

    def layer(self, x: str, name: str, out: str) -> str:
        """x w + b of the trainer's layer of that name."""
        product = self.add("MatMul", x, f"{name}.w", out=f"{out}.product")
        return self.add("Add", product, f"{name}.b", out=out)

    def dice(self, x: str, name: str, out: str) -> str:
        """x (alpha + (1 - alpha) sigmoid(x))."""
        self.constants[f"{name}.rest"] = 1 - self.constants[f"{name}.alpha"]
        p = self.add("Sigmoid", x, out=f"{out}.p")
        gate = self.add("Mul", p, f"{name}.rest", out=f"{out}.gate")
        return self.add("Mul", x, self.add("Add", gate, f"{name}.alpha", out=f"{out}.slope"), out=out)

    def attend(self, query: str, keys: str, mask: str) -> str:
        """The history pooled by its relevance for the target: (B, 2d)."""
        shape = np.array([self.candidates, self.history, 2 * self.width], np.int64)
        self.constants["spread"] = shape
        q = self.add("Expand", self.add("Unsqueeze", query, "axis1", out="query.1"), "spread", out="query.L")
        parts = (q, keys, self.add("Sub", q, keys, out="difference"), self.add("Mul", q, keys, out="product"))
        x = self.add("Concat", *parts, out="unit", axis=2)
        x = self.add("Sigmoid", self.layer(x, "att1", "att1"), out="att1.s")
        x = self.add("Sigmoid", self.layer(x, "att2", "att2"), out="att2.s")
        x = self.add("Squeeze", self.layer(x, "att3", "att3"), "axis2", out="att3.s")
        x = self.add("Mul", self.add("Mul", x, "scale", out="scaled"), mask, out="masked")
        penalty = self.add("Mul", self.add("Sub", mask, "one", out="absent"), "large", out="penalty")
        share = self.add("Softmax", self.add("Add", x, penalty, out="score"), out="share", axis=1)
        share = self.add("Unsqueeze", self.add("Mul", share, mask, out="share.m"), "axis1", out="share.1")
        return self.add("Squeeze", self.add("MatMul", share, keys, out="pooled.1"), "axis1", out="pooled")

    def predict(self, query: str, keys: str, mask: str, pooled: str) -> str:
        """The dense layers: [user, target, sum of history, target * sum, pooled] to one probability."""
        p = self.constants
        kept = self.add("Mul", keys, self.add("Unsqueeze", mask, "axis2", out="mask.2"), out="kept")
        total = self.add("ReduceSum", kept, "axis1", out="total", keepdims=0)
        both = self.add("Mul", query, total, out="query.total")
        x = self.add("Concat", "user", query, total, both, pooled, out="features", axis=1)
        p["norm.scale"] = p["norm.gamma"] * np.float32((1 + NORM_EPSILON) ** -0.5)
        x = self.add("Add", self.add("Mul", x, "norm.scale", out="norm.x"), "norm.beta", out="norm")
        x = self.dice(self.layer(x, "fc1", "fc1"), "fc1", "fc1.dice")
        x = self.dice(self.layer(x, "fc2", "fc2"), "fc2", "fc2.dice")
        # Softmax over two logits: the sigmoid of their difference.
        p["click.w"], p["click.b"] = np.diff(p["fc3.w"]), np.diff(p["fc3.b"])
        return self.add("Sigmoid", self.layer(x, "click", "click"), out="chance")
