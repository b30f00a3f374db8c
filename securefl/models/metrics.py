"""How good a click model is: area under the ROC curve."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from securefl.errors import ConfigurationError


def auc(scores: NDArray[np.floating[Any]], labels: NDArray[np.bool_]) -> float | None:
    """Area under the ROC curve of scores (n,) for labels (n,): P[a positive outranks a negative], ties count 1/2.

    Exact up to the one division.

    None where undefined: only one class is present. NaN scores raise ConfigurationError.
    """
    if np.isnan(scores).any():
        raise ConfigurationError("the predictions hold NaN: training diverged; lower `learning_rate`")
    labels = labels.astype(bool)
    positives = int(labels.sum())
    negatives = len(labels) - positives
    if positives == 0 or negatives == 0:
        return None
    _, group, sizes = np.unique(scores, return_inverse=True, return_counts=True)
    # Twice the mean rank of a group of ties is an integer: the sum below is exact.
    double_ranks = 2 * np.cumsum(sizes) - sizes + 1
    double_u = int(double_ranks[group][labels].sum()) - positives * (positives + 1)
    return double_u / (2 * positives * negatives)
