"""securefl: secure aggregation, private set union and federated submodel learning.

`securefl.simulate` sums arrays securely in one call; `securefl.secagg`, `securefl.submodel`, `securefl.psu`,
`securefl.bloom` and `securefl.dp` are the primitives. Submodules are imported when they are first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import bloom as bloom
    import dp as dp
    import psu as psu
    from securefl.engine.simulation import simulate as simulate

__version__ = "0.1.0"

_FLOORS = ("bloom", "dp", "psu")
_PARTS = ("crypto", "engine", "errors", "secagg", "store", "submodel")


def __getattr__(name: str) -> Any:
    if name == "simulate":
        return import_module("securefl.engine.simulation").simulate
    if name in _FLOORS:
        return import_module(name)
    if name in _PARTS:
        return import_module(f"securefl.{name}")
    raise AttributeError(f"module 'securefl' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), "simulate", *_FLOORS, *_PARTS])
