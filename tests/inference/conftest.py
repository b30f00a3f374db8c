"""Paths of the helpers of these tests, and every way to run a model."""

from __future__ import annotations

import pytest

from native import nn


@pytest.fixture(params=nn.backends())
def instructions(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name
