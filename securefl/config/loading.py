"""From TOML to ``Config``: every refusal is one sentence that starts with section.key."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

from securefl.config.schema import Config
from securefl.errors import ConfigurationError

__all__ = ["load", "load_preset", "parse", "from_table", "override", "preset_names"]

Table = Mapping[str, Any]
_PRESETS = resources.files("securefl") / "presets"
NOTES = {
    "training.strategy": " (FedLaAvg and MIFA keep an update of the whole model for each client; they are reached from "
    "Python, securefl.engine.latest)"
}
"""What a refusal should add to the values that are allowed."""


def preset_names() -> tuple[str, ...]:
    """Names of the configurations that ship with the package, sorted."""
    return tuple(sorted(Path(file.name).stem for file in _PRESETS.iterdir() if file.name.endswith(".toml")))


def load_preset(name: str) -> Config:
    """The shipped configuration of that name. Raises ConfigurationError."""
    if name not in preset_names():
        raise ConfigurationError(f"preset: there is no {name!r}; use one of {', '.join(preset_names())}")
    return parse((_PRESETS / f"{name}.toml").read_text(encoding="utf-8"), f"preset {name}")


def load(path: str | Path) -> Config:
    """Read a TOML file. What it does not set keeps its default. Raises ConfigurationError."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigurationError(f"configuration {path}: cannot be read: {reason}") from None
    return parse(text, str(path))


def parse(text: str, source: str = "configuration") -> Config:
    """TOML text to a ``Config``; ``source`` names it in errors. Raises ConfigurationError."""
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also numbers of thousands of digits, and tables as deep
        raise ConfigurationError(f"{source}: not TOML: {error}") from None
    return _convert(table)


def from_table(table: Table) -> Config:
    """The configuration of plain values by section, as ``msgspec.to_builtins`` has them. Raises ConfigurationError."""
    return _convert(table)


def override(config: Config, settings: Table) -> Config:
    """A copy with settings replaced by dotted name, ``{"cohort.clients": 50}``. Raises ConfigurationError."""
    table: dict[str, Any] = msgspec.to_builtins(config)
    for name, value in settings.items():
        section, _, key = name.partition(".")
        if not key:
            raise ConfigurationError(f"{name}: a setting is named section.key, such as cohort.clients")
        table.setdefault(section, {})[key] = value
    return _convert(table)


def _convert(table: Table) -> Config:
    _check_names(table)
    try:
        return msgspec.convert(table, Config)
    except msgspec.ValidationError as error:
        raise ConfigurationError(_sentence(table, str(error))) from None
    except UnicodeEncodeError:
        raise ConfigurationError("configuration: a text in it is not Unicode; type it anew") from None


def _check_names(table: Table) -> None:
    fields = {section.name: section.type for section in msgspec.structs.fields(Config)}
    for section, keys in table.items():
        _check_name(section, fields, "")
        if isinstance(keys, Mapping):
            known = fields[section].__struct_fields__
            for key in keys:
                _check_name(key, known, f"{section}.")


def _check_name(name: str, known: Iterable[str], prefix: str) -> None:
    names = list(known)
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1, cutoff=0)[0]
        raise ConfigurationError(f"{prefix}{name}: no such setting; the nearest one is {prefix}{near}")


def _sentence(table: Table, problem: str) -> str:
    """Msgspec says what is wrong and where; this says what was given there and what is allowed."""
    where = re.search(r"\$\.(\w+)(?:\.(\w+))?", problem)
    if where is None:
        return problem
    section, key = where.groups()
    if key is None:
        return f"{section}: got {table[section]!r}; use a section, [{section}], with settings under it"
    note = NOTES.get(f"{section}.{key}", "")
    return f"{section}.{key}: got {table[section][key]!r}; use {allowed(section, key)}{note}"


def allowed(section: str, key: str) -> str:
    """What a setting may be, in words."""
    struct = {field.name: field.type for field in msgspec.structs.fields(Config)}[section]
    info = inspect.type_info(struct)
    if not isinstance(info, inspect.StructType):
        raise TypeError(f"{section} is no section")
    return _words({field.name: field.type for field in info.fields}[key])


def _words(info: inspect.Type) -> str:
    match info:
        case inspect.UnionType(types):
            return " or ".join(_words(kind) for kind in types if not isinstance(kind, inspect.NoneType))
        case inspect.LiteralType(values):
            return " or ".join(repr(value) for value in values)
        case inspect.IntType():
            return f"a whole number {_range(info)}"
        case inspect.FloatType():
            return f"a number {_range(info)}"
        case inspect.VarTupleType():
            return f"a list, each {_words(info.item_type)}"
    return "a text"


def _range(info: inspect.IntType | inspect.FloatType) -> str:
    bounds = (("of at least", info.ge), ("above", info.gt), ("at most", info.le), ("below", info.lt))
    return " and ".join(f"{words} {_plain(bound)}" for words, bound in bounds if bound is not None)


def _plain(bound: float) -> str:
    return str(int(bound) if bound == int(bound) else bound)
