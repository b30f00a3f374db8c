"""The `onnx` package, imported only when a file of that format is read or written."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ..errors import ModelError


def onnx() -> Any:
    """The package. Raises ModelError where the extra is not installed."""
    try:
        return import_module("onnx")
    except ImportError:
        raise ModelError("ONNX files need the onnx package; install the extra: pip install '.[onnx]'") from None
