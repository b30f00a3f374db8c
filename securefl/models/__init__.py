"""Click models that a client can train on the rows it holds."""

from __future__ import annotations

from .clickmodel import ClickModel
from .din import DIN
from .interface import ClientPart, LocalUpdate, Model, RowUpdate, SamplesLike, TableSlice, TableSpec, Weights
from .logistic import LogisticRegression
from .metrics import auc

__all__ = [
    "ClickModel",
    "ClientPart",
    "DIN",
    "LocalUpdate",
    "LogisticRegression",
    "Model",
    "RowUpdate",
    "SamplesLike",
    "TableSlice",
    "TableSpec",
    "Weights",
    "auc",
]
