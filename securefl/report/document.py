"""A run, or an audit, as JSON: infinity is the string "inf", an undefined number is null, NaN does not occur."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from securefl.audit import Audit
    from securefl.federation.records import RunSummary

__all__ = ["to_json", "read_audit"]


def to_json(told: RunSummary | Audit) -> str:
    """Two-space indented JSON, one trailing newline, keys in the order of their class."""
    return json.dumps(_plain(msgspec.to_builtins(told)), indent=2, allow_nan=False) + "\n"


def read_audit(text: str | bytes) -> Audit:
    """The audit of its JSON, "inf" as infinity. Raises ``msgspec.ValidationError`` for anything else."""
    from securefl.audit import Audit

    return msgspec.json.decode(text, type=Audit, strict=False)


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
