"""One thread for matrix products: how many share one decides in which order floats are added, and so the last bits."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from numpy.linalg import _umath_linalg

__all__ = ["one_math_thread"]

PAIRS = (
    ("scipy_openblas_get_num_threads64_", "scipy_openblas_set_num_threads64_"),  # NumPy's wheels
    ("openblas_get_num_threads64_", "openblas_set_num_threads64_"),
    ("openblas_get_num_threads", "openblas_set_num_threads"),
    ("MKL_Get_Max_Threads", "MKL_Set_Num_Threads"),
    ("bli_thread_get_num_threads", "bli_thread_set_num_threads"),
)
"""What BLAS libraries call the number of their threads; the reference BLAS has one and no name for it."""


@contextmanager
def one_math_thread() -> Iterator[None]:
    """NumPy's matrix products, and torch's if it is loaded, take one thread each here; afterwards as many as before."""
    with ExitStack() as stack:
        for read, write in filter(None, (_blas(), _torch())):
            stack.callback(write, read())
            write(1)
        yield


def _blas() -> tuple[Callable[[], int], Callable[[int], object]] | None:
    """Of the library that NumPy is linked with: names are looked up in what its extension has loaded."""
    loaded = ctypes.CDLL(_umath_linalg.__file__)
    for read, write in PAIRS:
        if hasattr(loaded, read) and hasattr(loaded, write):
            return getattr(loaded, read), getattr(loaded, write)
    return None


def _torch() -> tuple[Callable[[], int], Callable[[int], object]] | None:
    torch = sys.modules.get("torch")
    return None if torch is None else (torch.get_num_threads, torch.set_num_threads)
