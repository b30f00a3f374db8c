"""Neighbouring test code that whole rounds are borrowed from."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "submodel"))
