"""DIN between its embeddings and its two logits: the dense layers, as one flat vector of parameters."""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import NDArray

from .attention import attention
from .layers import Back, Floats, dice, linear, normalize, split

HIDDEN = (200, 80)
ATTENTION_HIDDEN = (80, 40)


def shapes(width: int) -> dict[str, tuple[int, ...]]:
    """Name and shape of every dense parameter, in the order of the flat vector; 64,327 numbers at width 18."""
    (h1, h2), (a1, a2), d = HIDDEN, ATTENTION_HIDDEN, width
    return {
        "norm.gamma": (9 * d,), "norm.beta": (9 * d,),
        "att1.w": (8 * d, a1), "att1.b": (a1,), "att2.w": (a1, a2), "att2.b": (a2,), "att3.w": (a2, 1), "att3.b": (1,),
        "fc1.w": (9 * d, h1), "fc1.b": (h1,), "fc1.alpha": (h1,),
        "fc2.w": (h1, h2), "fc2.b": (h2,), "fc2.alpha": (h2,),
        "fc3.w": (h2, 2), "fc3.b": (2,),
    }  # fmt: skip


def dense_size(width: int) -> int:
    """How many dense parameters DIN has at this embedding width."""
    return sum(prod(shape) for shape in shapes(width).values())


def views(dense: Floats, width: int) -> dict[str, Floats]:
    """The parameters by name, as views into ``dense`` (..., D): see `layers.split`."""
    return split(dense, shapes(width))


def forward(
    p: dict[str, Floats], user: Floats, target: Floats, history: Floats, mask: NDArray[np.bool_]
) -> tuple[Floats, Back]:
    """Logits (B, 2) of "no click" and "click" for user (B, d), target (B, 2d), history (B, L, 2d), mask (B, L).

    All may have leading axes of as many models, as ``p`` then has. Where ``mask`` is false ``history`` must be 0.
    Input of the first layer, 9d wide (Niu et al. 2019, section 5):
    [user, target, sum of history, target * sum, attention-pooled history].
    Back gives (d_user, d_target, d_history, dp); d_history is not masked.
    """
    total = history.sum(axis=-2)
    pooled, attend = attention(target, history, mask, p)
    features = np.concatenate([user, target, total, target * total, pooled], axis=-1)
    x0, norm = normalize(features, p["norm.gamma"], p["norm.beta"])
    z1, back1 = linear(x0, p["fc1.w"], p["fc1.b"])
    x1, dice1 = dice(z1, p["fc1.alpha"])
    z2, back2 = linear(x1, p["fc2.w"], p["fc2.b"])
    x2, dice2 = dice(z2, p["fc2.alpha"])
    logits, back3 = linear(x2, p["fc3.w"], p["fc3.b"])

    def back(dy: Floats) -> tuple[Floats, Floats, Floats, dict[str, Floats]]:
        d: dict[str, Floats] = {}
        dx2, d["fc3.w"], d["fc3.b"] = back3(dy)
        dz2, d["fc2.alpha"] = dice2(dx2)
        dx1, d["fc2.w"], d["fc2.b"] = back2(dz2)
        dz1, d["fc1.alpha"] = dice1(dx1)
        dx0, d["fc1.w"], d["fc1.b"] = back1(dz1)
        dx, d["norm.gamma"], d["norm.beta"] = norm(dx0)
        width = user.shape[-1]
        d_user, d_target, d_total, d_product, d_pooled = np.split(dx, np.array([1, 3, 5, 7]) * width, axis=-1)
        dq, dk, d_attention = attend(d_pooled)
        d_target = d_target + d_product * total + dq
        d_total = d_total + d_product * target
        return d_user, d_target, dk + d_total[..., None, :], d | d_attention

    return logits, back
