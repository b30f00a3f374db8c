"""Updates for rounds with noise: within the ball whatever rounding does, and every client counts the same."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

import numpy as np

from securefl.federation.strategy import Weights
from securefl.models import LocalUpdate
from securefl.submodel import SubmodelPlan

__all__ = ["clipped", "equally"]

SLACK = 1 - 2.0**-20
"""More than float32 can be wrong by where an update is scaled."""


def equally(update: LocalUpdate) -> Weights:
    """Weight 1 for everything, also for a client that did not train: a count says nothing of its data."""
    return 1, {name: np.ones(rows.indices.size, np.int64) for name, rows in update.rows.items()}


def clipped(update: LocalUpdate, plan: SubmodelPlan) -> LocalUpdate:
    """The shared part of an update, scaled down to the plan's ball, with room for each coordinate's rounding.

    Rounding moves each of s coordinates by less than a step, so the whole by less than sqrt(s). An update of so many
    coordinates that no room is left becomes zero.
    """
    if plan.noise is None:
        return update
    parts = [(update.dense, plan.dense_quantization)]
    parts += [(rows.deltas, plan.row_quantization) for rows in update.rows.values()]
    squares = sum(float(np.vdot(x, x).real) * (how.levels / how.clip) ** 2 for x, how in parts)
    room = max(0.0, (plan.noise.radius - sqrt(sum(x.size for x, _ in parts))) * SLACK - 1)
    if squares <= room**2:
        return update
    scale = np.float32(room / sqrt(squares))
    rows = {name: replace(one, deltas=one.deltas * scale) for name, one in update.rows.items()}
    return replace(update, dense=update.dense * scale, rows=rows)
