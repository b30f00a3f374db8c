"""How arrays are laid out for a kernel."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["plain"]

Array = TypeVar("Array", bound=NDArray[Any])


def plain(array: Array) -> Array:
    """C-contiguous and aligned, copied only when it is not."""
    flags = array.flags
    return array if flags.c_contiguous and flags.aligned else np.require(array, requirements=["C", "A"])
