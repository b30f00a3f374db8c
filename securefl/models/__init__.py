"""Click models that a client can train on the rows it holds."""

from __future__ import annotations

from .din import DIN
from .interface import LocalUpdate, Model, RowUpdate, SamplesLike, TableSlice, TableSpec, Weights
from .metrics import auc

__all__ = ["DIN", "LocalUpdate", "Model", "RowUpdate", "SamplesLike", "TableSlice", "TableSpec", "Weights", "auc"]
