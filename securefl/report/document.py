"""A run as JSON: infinity is the string "inf", an undefined number is null, NaN does not occur."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from securefl.federation.records import RunSummary

__all__ = ["to_json"]


def to_json(summary: RunSummary) -> str:
    """Two-space indented JSON, one trailing newline, keys in the order of ``RunSummary``."""
    return json.dumps(_plain(msgspec.to_builtins(summary)), indent=2, allow_nan=False) + "\n"


def _plain(value: object) -> object:
    match value:
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case float() if math.isnan(value):
            return None
        case float() if math.isinf(value):
            return "inf" if value > 0 else "-inf"
    return value
