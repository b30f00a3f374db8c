"""Torch modules of the tests: DIN and logistic regression as torch users write them, one with running statistics."""

from __future__ import annotations

import math
from collections import OrderedDict

import torch
from torch import Tensor, nn

from securefl.models.torch import Inputs


class Tables(nn.Module):
    """Embeddings of items and categories, side by side."""

    def __init__(self, items: int, categories: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.item, self.category = nn.Embedding(items, width), nn.Embedding(categories, width)

    def looked_up(self, x: Inputs) -> tuple[Tensor, Tensor]:
        """Target (B, 2d) and history (B, L, 2d), 0 where padded."""
        target, history = (
            torch.cat([self.item(at["items"]), self.category(at["categories"])], -1) for at in (x.targets, x.history)
        )
        return target, history * x.mask[:, :, None]


class TorchDIN(Tables):
    """`securefl.models.DIN`, parameter by parameter, in the order of its flat vector."""

    def __init__(self, items: int, categories: int, width: int, shapes: dict[str, tuple[int, ...]]) -> None:
        super().__init__(items, categories, width)
        self.dense = nn.ParameterDict(
            OrderedDict((name.replace(".", "_"), nn.Parameter(torch.zeros(s))) for name, s in shapes.items())
        )

    def linear(self, name: str, x: Tensor) -> Tensor:
        return x @ self.dense[f"{name}_w"] + self.dense[f"{name}_b"]

    def dice(self, name: str, x: Tensor) -> Tensor:
        p = torch.sigmoid(x)
        return p * x + (1 - p) * self.dense[f"{name}_alpha"] * x

    def forward(self, x: Inputs) -> Tensor:
        q, k = self.looked_up(x)
        each = q[:, None].expand_as(k)
        hidden = torch.sigmoid(self.linear("att1", torch.cat([each, k, each - k, each * k], -1)))
        scores = self.linear("att3", torch.sigmoid(self.linear("att2", hidden)))[:, :, 0] / math.sqrt(q.shape[1])
        share = torch.softmax(scores.masked_fill(~x.mask, -1e30), -1) * x.mask
        total, pooled = k.sum(1), (share[:, :, None] * k).sum(1)
        hidden = torch.cat([x.user, q, total, q * total, pooled], -1) / math.sqrt(1.001)
        hidden = hidden * self.dense["norm_gamma"] + self.dense["norm_beta"]
        for name in ("fc1", "fc2"):
            hidden = self.dice(name, self.linear(name, hidden))
        no, yes = self.linear("fc3", hidden).unbind(-1)
        return yes - no


class TorchLogistic(Tables):
    """`securefl.models.LogisticRegression`."""

    def __init__(self, items: int, categories: int) -> None:
        super().__init__(items, categories, 2)
        self.weights = nn.Parameter(torch.zeros(2))

    def forward(self, x: Inputs) -> Tensor:
        target, history = self.looked_up(x)
        length = x.mask.sum(1)
        long = torch.log1p(length) / math.log1p(100)
        past = history.sum(1) / length.clamp(min=1)[:, None]
        own, user = self.weights + x.user, target[:, 0] + target[:, 2]
        return own[:, 0] + own[:, 1] * long + user + past[:, 1] + past[:, 3]


class Normalized(Tables):
    """A layer with running statistics and dropout."""

    def __init__(self, items: int, categories: int) -> None:
        super().__init__(items, categories, 2)
        self.norm, self.top = nn.BatchNorm1d(4), nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 1))

    def forward(self, x: Inputs) -> Tensor:
        target, _ = self.looked_up(x)
        return self.top(self.norm(target))[:, 0]


class Padded(nn.Module):
    """Has tables that cannot be trained in parts."""

    def __init__(self) -> None:
        super().__init__()
        self.item, self.other, self.bias = nn.Embedding(9, 2, padding_idx=0), nn.Embedding(9, 2), nn.Linear(2, 1)
        self.alone = nn.ModuleList([nn.Embedding(9, 2)])
