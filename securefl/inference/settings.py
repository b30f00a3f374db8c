"""The settings of a session: typed, ranged, and unknown ones refused."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from native import nn

from .errors import InputError

__all__ = ["Settings", "checked"]

BACKENDS = ("auto", "native", "numpy", "onnxruntime", "mnn")


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a session runs a model."""

    threads: Annotated[int, Meta(ge=1, le=nn.MAX_THREADS)] = 1
    """Threads that share the operations that are worth it; results are the same, bit for bit."""
    backend: str | tuple[str, ...] = "auto"
    """"auto": native, and numpy for what it lacks. Else one of BACKENDS, or several to choose from, node by node."""
    instructions: str | None = None
    """One of `native.nn.backends()`; None: the best."""
    precision: Literal["fp32", "int8"] = "fp32"
    """int8: weights of Linear layers and embedding tables as 8-bit integers with a scale; activations stay floats."""
    skip_padding: bool = True
    """Attention leaves padded history items out. The result is the same; False is for measuring."""
    calibrate: bool = True
    """Measure this machine once for the cost model (cached for the user); False: take typical rates."""
    algorithms: tuple[str, ...] = ()
    """Algorithms of convolutions that may be chosen, as `Session.plan` names them; where none fits, and (): all."""
    placement: dict[str, str] = {}
    """Operators, or values that a node makes, that one backend must run: {"Softmax": "numpy"}."""
    rewrite: bool = True
    """Apply the rewrite rules; False: run the model as it is written."""


def checked(**given: object) -> Settings:
    """Settings of those names. Raises InputError, which names the setting."""
    try:
        settings = msgspec.convert(given, Settings)
    except msgspec.ValidationError as error:
        raise InputError(f"session setting: {error}; known are {', '.join(Settings.__struct_fields__)}") from None
    names = (settings.backend,) if isinstance(settings.backend, str) else settings.backend
    unknown = [name for name in (*names, *settings.placement.values()) if name not in BACKENDS]
    if unknown or not names:
        raise InputError(f"backend: {unknown or 'none'} is not one of {', '.join(BACKENDS)}")
    if settings.instructions is not None and settings.instructions not in nn.backends():
        raise InputError(f"instructions: {settings.instructions!r} is not one of {', '.join(nn.backends())}")
    return settings
