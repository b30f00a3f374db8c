"""A finished run, as an engine would return it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from securefl.federation.records import RunSummary


@pytest.fixture
def run() -> RunSummary:
    """Five complete rounds of 100 clients."""
    text = Path(__file__).with_name("sample_run.json").read_text(encoding="utf-8")
    return msgspec.json.decode(text, type=RunSummary)


@pytest.fixture
def aborted(run: RunSummary) -> RunSummary:
    """The same run, whose third round lost too many clients."""
    rounds = list(run.per_round)
    rounds[2] = msgspec.structs.replace(
        rounds[2], completed=False, abort="66 clients left, 68 needed", auc=None, finishers=66, rows_uploaded=0
    )
    return msgspec.structs.replace(run, rounds_completed=4, per_round=rounds)
