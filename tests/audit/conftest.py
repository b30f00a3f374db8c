"""Audits of the shipped presets, each made once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from securefl.audit import Audit, audit
from securefl.config import load_preset


@pytest.fixture(scope="session")
def audited() -> Callable[[str], Audit]:
    """The audit of a preset."""
    return cache(lambda name: audit(load_preset(name)))
