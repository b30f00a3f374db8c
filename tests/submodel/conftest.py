"""Tests of rounds over a hostile network take the network from the folder beside."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "secagg"))
