"""Our own kernels: which nodes they take, the algorithm of each by the cost model, and the steps."""

from __future__ import annotations

from .backend import NativeBackend

__all__ = ["NativeBackend"]
