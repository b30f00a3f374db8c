"""ONNX in and out (extra `onnx`)."""

from __future__ import annotations

from .reading import load_onnx
from .writing import save_onnx, to_onnx

__all__ = ["load_onnx", "save_onnx", "to_onnx"]
