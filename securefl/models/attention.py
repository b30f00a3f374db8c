"""DIN's activation unit: how much each clicked item of the history matters for the target."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from .layers import Floats, linear, masked_softmax, sigmoid

Weights: TypeAlias = dict[str, Floats]
AttentionBack: TypeAlias = Callable[[Floats], tuple[Floats, Floats, Weights]]


def _first_layer(
    q: Floats, k: Floats, w: Floats, b: Floats
) -> tuple[Floats, Callable[[Floats], tuple[Floats, Floats, Floats, Floats]]]:
    """``[q, k, q-k, q*k] @ w + b`` without building the 4E columns: q (Wq+Wd) + k (Wk-Wd + diag(q) Wp)."""
    wq, wk, wd, wp = np.split(w, 4, axis=-2)
    wp = wp[..., None, :, :]
    per_sample = (wk - wd)[..., None, :, :] + q[..., None] * wp

    def back(dy: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        d_sample = k.swapaxes(-1, -2) @ dy
        d_shared = dy.sum(axis=-2)
        dk_w, dq_w = d_sample.sum(axis=-3), q.swapaxes(-1, -2) @ d_shared
        dw = np.concatenate([dq_w, dk_w, dq_w - dk_w, (q[..., None] * d_sample).sum(axis=-3)], axis=-2)
        dq = d_shared @ (wq + wd).swapaxes(-1, -2) + (d_sample * wp).sum(axis=-1)
        return dq, dy @ per_sample.swapaxes(-1, -2), dw, d_shared.sum(axis=-2)

    return k @ per_sample + (q @ (wq + wd) + b[..., None, :])[..., None, :], back


def attention(q: Floats, k: Floats, mask: NDArray[np.bool_], p: Weights) -> tuple[Floats, AttentionBack]:
    """Pool the history k (..., B, L, E) by its relevance to the target q (..., B, E): (..., B, E).

    Scores come from an MLP over [q, k, q-k, q*k] (4E -> 80 -> 40 -> 1, sigmoid), are divided by sqrt(E) and pass a
    softmax over the true entries of ``mask`` (..., B, L), as in the code of Zhou et al. 2018. An empty history pools
    to 0. ``p`` holds att1, att2, att3 (``.w`` and ``.b``). Back gives (dq, dk, dp).
    """
    z1, back1 = _first_layer(q, k, p["att1.w"], p["att1.b"])
    h1, act1 = sigmoid(z1.reshape(*z1.shape[:-3], -1, z1.shape[-1]))  # history items are samples to the layers below
    z2, back2 = linear(h1, p["att2.w"], p["att2.b"])
    h2, act2 = sigmoid(z2)
    z3, back3 = linear(h2, p["att3.w"], p["att3.b"])
    scale = q.dtype.type(q.shape[-1] ** -0.5)
    share, soft = masked_softmax(z3.reshape(mask.shape) * scale, mask)

    def back(dy: Floats) -> tuple[Floats, Floats, Weights]:
        d: Weights = {}
        dz3 = (soft((k @ dy[..., None])[..., 0]) * scale).reshape(z3.shape)
        dh2, d["att3.w"], d["att3.b"] = back3(dz3)
        dh1, d["att2.w"], d["att2.b"] = back2(act2(dh2))
        dq, dk, d["att1.w"], d["att1.b"] = back1(act1(dh1).reshape(z1.shape))
        return dq, dk + share[..., None] * dy[..., None, :], d

    return (share[..., None, :] @ k)[..., 0, :], back
