"""From options to one configuration: a preset or a file, then the options, then ``--set``."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

from securefl.config import Config, load, load_preset, override
from securefl.errors import ConfigurationError

__all__ = ["configuration", "overridden"]

DEFAULT_PRESET = "small"


def configuration(
    preset: str | None, file: Path | None, options: Mapping[str, object], assignments: Iterable[str]
) -> Config:
    """Options that are None were not given. Raises ConfigurationError."""
    if preset is not None and file is not None:
        raise ConfigurationError("--preset: the settings come from a file already; give one of the two")
    base = load(file) if file is not None else load_preset(preset or DEFAULT_PRESET)
    given = {name: value for name, value in options.items() if value is not None}
    if "cohort.seed" in given:
        given["cohort.seed"] = _seed(str(given["cohort.seed"]))
    return overridden(override(base, given), assignments)


def overridden(config: Config, assignments: Iterable[str]) -> Config:
    """The configuration with ``section.key=value`` assignments. Raises ConfigurationError."""
    return override(config, dict(map(_assignment, assignments)))


def _seed(text: str) -> int | None:
    if text == "none":
        return None
    if not text.isdecimal():
        raise ConfigurationError(f"--seed: got {text!r}; use a whole number of at least 0, or none")
    return int(text)


def _assignment(text: str) -> tuple[str, object]:
    """``secagg.threshold=60`` to a name and a TOML value; what is no TOML value is a string."""
    name, equals, value = text.partition("=")
    if not equals:
        raise ConfigurationError(f"--set: got {text!r}; use section.key=value, such as secagg.threshold=60")
    return name.strip(), _value(value.strip())


def _value(text: str) -> object:
    if "\n" in text:
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
