"""The engines: each from the same ONNX model to a call, NumPy in and NumPy out, one thread unless told, float32.

Every engine runs at its best documented call: sessions and buffers are made once, ours without `out=`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from inference.ncnn_format import write_ncnn

Array: TypeAlias = NDArray[Any]
Inputs: TypeAlias = Mapping[str, Array]
Run: TypeAlias = Callable[[], Array]


def ours(model: ModelProto, inputs: Inputs, **settings: Any) -> Run:
    """A `securefl.inference.Session`."""
    from securefl.inference import Session
    from securefl.inference.onnx import load_onnx

    session = Session(load_onnx(model.SerializeToString()), **settings)
    given = dict(inputs)
    return lambda: session.run(given)["output"]


class Engine(NamedTuple):
    """A peer: how it stores a model, and how it opens what it stored."""

    convert: Callable[[ModelProto, Path], Path]
    """Into a folder; what is to be opened."""
    open: Callable[[Path, Inputs, int], Run]
    """On so many threads."""


def ready(engine: Engine, model: ModelProto, inputs: Inputs, threads: int = 1) -> Run:
    """From a model to a call."""
    with TemporaryDirectory() as folder:
        return engine.open(engine.convert(model, Path(folder)), inputs, threads)


def _to_onnx(model: ModelProto, folder: Path) -> Path:
    path = folder / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def _open_onnxruntime(path: Path, inputs: Inputs, threads: int) -> Run:
    """Its CPU provider, all optimizations (the default)."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    given = dict(inputs)

    def run() -> Array:
        result: Array = session.run(None, given)[0]
        return result

    return run


def _to_mnn(model: ModelProto, folder: Path) -> Path:
    """Converted in process: the `mnnconvert` command, and importing MNN.tools, install packages."""
    import _tools  # of the MNN wheel

    source, target = _to_onnx(model, folder), folder / "net.mnn"
    with silence():
        _tools.mnnconvert(
            ["mnnconvert", "-f", "ONNX", "--modelFile", str(source), "--MNNModel", str(target), "--bizCode", "x"]
        )
    return target


def _open_mnn(path: Path, inputs: Inputs, threads: int) -> Run:
    """Its Session."""
    import MNN

    with silence():
        interpreter = MNN.Interpreter(str(path))
        session = interpreter.createSession({"numThread": threads, "backend": "CPU", "precision": "high"})
    places, out = interpreter.getSessionInputAll(session), interpreter.getSessionOutput(session)
    shape, order = out.getShape(), MNN.Tensor_DimensionType_Caffe
    kinds = {np.dtype(np.int32): MNN.Halide_Type_Int, np.dtype(np.float32): MNN.Halide_Type_Float}

    def run() -> Array:
        for name, array in inputs.items():
            places[name].copyFrom(MNN.Tensor(array.shape, kinds[array.dtype], array, order))
        interpreter.runSession(session)
        host = MNN.Tensor(shape, MNN.Halide_Type_Float, np.empty(shape, np.float32), order)
        out.copyToHostTensor(host)
        return np.array(host.getNumpyData(), copy=True).reshape(shape)

    return run


def _to_ncnn(model: ModelProto, folder: Path) -> Path:
    param, _ = write_ncnn(model, folder, "net")
    return param


def _open_ncnn(path: Path, inputs: Inputs, threads: int) -> Run:
    """Its extractor; half precision of every kind is off, so that all compute in float32."""
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_vulkan_compute = False
    for half in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
        setattr(net.opt, half, False)
    net.load_param(str(path))
    net.load_model(str(path.with_suffix(".bin")))
    image = inputs["input"][0]

    def run() -> Array:
        extractor = net.create_extractor()
        extractor.input("in0", ncnn.Mat(image))
        _, out = extractor.extract("out0")
        return np.array(out).reshape(1, -1)

    return run


ORT = Engine(_to_onnx, _open_onnxruntime)
MNN = Engine(_to_mnn, _open_mnn)
NCNN = Engine(_to_ncnn, _open_ncnn)


class silence:  # noqa: N801 - reads as a statement
    """Nothing on standard output from the engines' own C++."""

    def __enter__(self) -> None:
        self._kept = os.dup(1)
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.close(null)

    def __exit__(self, *_: object) -> None:
        os.dup2(self._kept, 1)
        os.close(self._kept)
