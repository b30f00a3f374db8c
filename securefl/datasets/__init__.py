"""Click logs, from a file or from a seed, split by user and time."""

from __future__ import annotations

from .clicklog import ClickLog, Samples
from .loading import load_click_log
from .synthetic import PRESETS, SyntheticPlan, synthetic_click_log

__all__ = ["PRESETS", "ClickLog", "Samples", "SyntheticPlan", "load_click_log", "synthetic_click_log"]
