"""The one typed configuration of every command: what a run needs, with defaults, ranges and checks.

A preset is a TOML file of this schema shipped with the package; a file of yours has the same shape.
"""

from __future__ import annotations

from securefl.config.checks import (
    abort_probability,
    check_meaning,
    check_population,
    least_malicious_threshold,
    noise_reach,
    uploaded_share,
    validate,
    warnings,
)
from securefl.config.loading import from_table, load, load_preset, override, parse, preset_names
from securefl.config.schema import Availability, Cohort, Config, Data, Privacy, Run, SecAgg, Training, Union

__all__ = [
    "Config",
    "Data",
    "Cohort",
    "Availability",
    "SecAgg",
    "Union",
    "Privacy",
    "Training",
    "Run",
    "load",
    "load_preset",
    "parse",
    "from_table",
    "override",
    "preset_names",
    "check_meaning",
    "validate",
    "warnings",
    "check_population",
    "uploaded_share",
    "abort_probability",
    "least_malicious_threshold",
    "noise_reach",
]
