"""MNN (extra `mnn`).

Models are converted in process: the package's command `mnnconvert`, and importing MNN.tools, install packages and send
usage records. MNN checks little, so all that goes in was checked before: shapes are fixed, dtypes are float32.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from ..cost import Rates
from ..errors import ModelError
from ..graph import Graph
from ..node import FLOAT32
from ..onnx import to_onnx
from .engine import EngineBackend, package
from .interface import Buffers

__all__ = ["MnnBackend"]


class MnnBackend(EngineBackend):
    """Full precision; values are float32."""

    name, slowdown = "mnn", 2.0

    def __init__(self, rates: Rates, threads: int = 1) -> None:
        super().__init__(rates, threads)
        with _quiet():
            self._package, self._tools = package("MNN", "mnn"), package("_tools", "mnn")

    def takes(self, dtype: np.dtype[Any]) -> bool:
        """Integers of 64 bits would silently become 32."""
        return dtype == FLOAT32

    def load(self, part: Graph, buffers: Buffers) -> Callable[[], None]:
        """A session of a part."""
        mnn = self._package
        with TemporaryDirectory() as folder, _quiet():
            interpreter = mnn.Interpreter(str(self._converted(part, Path(folder))))
            session = interpreter.createSession({"numThread": self._threads, "backend": "CPU", "precision": "high"})
        places = interpreter.getSessionInputAll(session)
        if places.keys() != part.inputs.keys():
            raise ModelError(f"mnn lost inputs of a part: it has {sorted(places)}, not {sorted(part.inputs)}")
        kind, order = mnn.Halide_Type_Float, mnn.Tensor_DimensionType_Caffe
        inputs = [(places[name], buffers[name]) for name in part.inputs]
        outputs = [(interpreter.getSessionOutput(session, name), buffers[name]) for name in part.outputs]

        def run() -> None:
            for place, array in inputs:
                place.copyFrom(mnn.Tensor(array.shape, kind, np.ascontiguousarray(array), order))
            interpreter.runSession(session)
            for place, array in outputs:
                host = mnn.Tensor(array.shape, kind, np.empty(array.shape, np.float32), order)
                place.copyToHostTensor(host)
                np.copyto(array, host.getNumpyData().reshape(array.shape))

        return run

    def _converted(self, part: Graph, folder: Path) -> Path:
        source, target = folder / "part.onnx", folder / "part.mnn"
        source.write_bytes(to_onnx(part).SerializeToString())
        arguments = ["-f", "ONNX", "--modelFile", str(source), "--MNNModel", str(target), "--bizCode", "securefl"]
        self._tools.mnnconvert(["mnnconvert", *arguments])
        if not target.exists():
            raise ModelError("mnn cannot convert a part of the model")
        return target


@contextmanager
def _quiet() -> Iterator[None]:
    """MNN's C++ writes to standard output; here it goes nowhere."""
    kept, null = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(null)
