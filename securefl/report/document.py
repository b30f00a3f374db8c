"""A run, or an audit, as JSON: infinity is the string "inf", an undefined number is null, NaN does not occur."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from securefl.federation.records import to_plain

if TYPE_CHECKING:
    from securefl.audit import Audit
    from securefl.federation.records import RunSummary

__all__ = ["to_json", "runs_to_json", "read_audit"]


def to_json(told: RunSummary | Audit) -> str:
    """Two-space indented JSON, one trailing newline, keys in the order of their class."""
    return json.dumps(to_plain(msgspec.to_builtins(told)), indent=2, allow_nan=False) + "\n"


def runs_to_json(runs: Mapping[str, RunSummary]) -> str:
    """One run as `to_json` has it; several by name."""
    if len(runs) == 1:
        return to_json(*runs.values())
    return json.dumps(to_plain(msgspec.to_builtins(dict(runs))), indent=2, allow_nan=False) + "\n"


def read_audit(text: str | bytes) -> Audit:
    """The audit of its JSON, "inf" as infinity. Raises ``msgspec.DecodeError`` for anything else."""
    from securefl.audit import Audit

    try:
        return msgspec.json.decode(text, type=Audit, strict=False)
    except (UnicodeError, RecursionError):
        raise msgspec.DecodeError("JSON is malformed: a text that is no UTF-8, or too deep") from None
