"""Logistic regression on a sample's sparse features, as a network over embeddings of two numbers.

Features: the user, the target and its category, the items and categories of the history (a mean), and how long the
history is. A row holds an item's weight as target and its weight in a history.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .layers import Back, Floats

WIDTH = 2
LONG = 100
"""A history of this length counts 1."""


def shapes(width: int) -> dict[str, tuple[int, ...]]:
    """The weights of a constant and of the length of the history."""
    return {"weights": (width,)}


def forward(
    p: dict[str, Floats], user: Floats, target: Floats, history: Floats, mask: NDArray[np.bool_]
) -> tuple[Floats, Back]:
    """Logits (..., B, 2), the first 0: user (..., B, 2), target (..., B, 4), history (..., B, L, 4), mask (..., B, L).

    Where ``mask`` is false ``history`` must be 0. A user embedding adds to the weights.
    Back gives (d_user, d_target, d_history, dp); d_history is not masked.
    """
    lengths = mask.sum(axis=-1, keepdims=True)
    long = np.log1p(lengths) / np.log1p(LONG)
    features = np.concatenate([np.ones_like(long), long], axis=-1).astype(user.dtype)
    share = (1 / np.maximum(lengths, 1)).astype(user.dtype)
    own, past = (np.array(side, user.dtype) for side in ((1, 0, 1, 0), (0, 1, 0, 1)))
    z = (features * (p["weights"][..., None, :] + user)).sum(axis=-1)
    z = z + target @ own + (history.sum(axis=-2) @ past) * share[..., 0]

    def back(dy: Floats) -> tuple[Floats, Floats, Floats, dict[str, Floats]]:
        dz = dy[..., 1:]
        d_user = dz * features
        d_history = np.broadcast_to((dz * share * past)[..., None, :], history.shape)
        return d_user, dz * own, d_history, {"weights": d_user.sum(axis=-2)}

    return np.stack([np.zeros_like(z), z], axis=-1), back
