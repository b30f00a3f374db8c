"""Tests of states and of arbitrary messages also take submodel rounds, and strategies, from the folders beside."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path += [str(Path(__file__).parents[1] / folder) for folder in ("submodel", "wire")]
