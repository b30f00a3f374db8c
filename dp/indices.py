"""What an index set is: 1-D, non-negative, strictly increasing. Refusals never say which index is wrong."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dp.errors import PrivacyError

__all__ = ["check_indices"]


def check_indices(
    values: ArrayLike, name: str, *, below: int = 2**63, error: type[ValueError] = PrivacyError
) -> NDArray[np.int64]:
    """`values` as int64, (n,), n >= 0. Raises `error` unless they are integers in [0, below) that strictly increase."""
    array = np.asarray(values)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise error(f"{name} must be a 1-D array of integers")
    array = array.astype(np.int64)  # an unsigned value above 2^63 turns negative and is refused below
    if np.any(array[1:] <= array[:-1]):
        raise error(f"{name} must be sorted and free of repeats")
    if array.size and not (array[0] >= 0 and int(array[-1]) < below):
        raise error(f"{name} must hold indices from 0 to {below - 1}")
    return array
