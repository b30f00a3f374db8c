"""onnxruntime, on its CPU provider (extra `onnxruntime`)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..cost import Rates
from ..graph import Graph
from ..onnx import to_onnx
from .engine import EngineBackend, package
from .interface import Buffers

__all__ = ["OnnxRuntimeBackend"]


class OnnxRuntimeBackend(EngineBackend):
    """No spinning."""

    name, slowdown = "onnxruntime", 1.2

    def __init__(self, rates: Rates, threads: int = 1) -> None:
        super().__init__(rates, threads)
        self._package = package("onnxruntime", "onnxruntime")

    def load(self, part: Graph, buffers: Buffers) -> Callable[[], None]:
        """A session of a part."""
        options = self._package.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = self._threads, 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = self._package.InferenceSession(
            to_onnx(part).SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        inputs = {name: buffers[name] for name in part.inputs}
        outputs = [buffers[name] for name in part.outputs]
        names = list(part.outputs)

        def run() -> None:
            for place, result in zip(outputs, session.run(names, inputs), strict=True):
                np.copyto(place, result)

        return run
