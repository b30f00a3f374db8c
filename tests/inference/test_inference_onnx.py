"""ONNX files: what is read, and that a damaged or hostile one ends in a named error, never in anything else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from foreign import accepted_or_named, content
from hypothesis import given, settings
from hypothesis import strategies as st
from test_inference_images import near

from securefl.inference import ModelError, Session
from securefl.inference.onnx import load_onnx

pytestmark = pytest.mark.needs("onnx", "onnxruntime")


def model(
    *nodes: object, inputs: dict, outputs: tuple[str, ...] = ("out",), weights: dict | None = None, opset: int = 13
):  # type: ignore[no-untyped-def]
    """A raw ONNX model: nothing is checked."""
    from onnx import TensorProto, helper, numpy_helper

    ins = [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n, shape in inputs.items()]
    outs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs]
    held = [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()]
    graph = helper.make_graph(list(nodes), "g", ins, outs, held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def node(op: str, inputs: list[str], outputs: list[str], **attributes: object):  # type: ignore[no-untyped-def]
    from onnx import helper

    return helper.make_node(op, inputs, outputs, **attributes)


def load(raw) -> Session:  # type: ignore[no-untyped-def]
    return Session(load_onnx(raw.SerializeToString()))


def test_constants_clips_of_old_and_dropout_are_read() -> None:
    import onnxruntime
    from onnx import numpy_helper

    value = numpy_helper.from_array(np.array([1.5, -2], np.float32), "v")
    raw = model(
        node("Constant", [], ["c"], value=value),
        node("Add", ["x", "c"], ["a"]),
        node("Clip", ["a"], ["b"], min=-1.0, max=1.0),
        node("Dropout", ["b"], ["d"]),
        node("Unsqueeze", ["d"], ["out"], axes=[0]),
        inputs={"x": (3, 2)},
        opset=9,
    )
    raw.ir_version = 8
    x = np.random.default_rng(0).standard_normal((3, 2), np.float32)
    (wanted,) = onnxruntime.InferenceSession(raw.SerializeToString()).run(None, {"x": x})
    assert near(load(raw).run({"x": x})["out"], wanted)


def test_open_shapes_must_be_given() -> None:
    raw = model(node("Relu", ["x"], ["out"]), inputs={"x": ("batch", 3)}).SerializeToString()
    with pytest.raises(ModelError, match=r"input 'x' has an open shape; give it"):
        load_onnx(raw)
    assert load_onnx(raw, {"x": (2, 3)}).inputs["x"].shape == (2, 3)
    with pytest.raises(ModelError, match="'y' is no input"):
        load_onnx(raw, {"x": (2, 3), "y": (1,)})


def test_a_cycle_is_named() -> None:
    raw = model(node("Add", ["x", "b"], ["a"]), node("Relu", ["a"], ["b"]), inputs={"x": (2,)}, outputs=("b",))
    with pytest.raises(ModelError, match="cycle"):
        load(raw)


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        (lambda: model(node("Fly", ["x"], ["out"]), inputs={"x": (2,)}), "'Fly' is not supported"),
        (lambda: model(node("Relu", ["x"], ["out"], domain="my.own"), inputs={"x": (2,)}), "'my.own'"),
        (lambda: model(node("Relu", ["y"], ["out"]), inputs={"x": (2,)}), "'y' is used but nothing makes it"),
        (lambda: model(node("Relu", ["x"], ["y"]), inputs={"x": (2,)}), "'out' is used but nothing makes it"),
        (lambda: model(node("Relu", ["x"], ["out"]), inputs={"x": (2**20, 2**20)}), "more than"),
        (lambda: model(node("Relu", ["x"], ["out"]), inputs={"x": (2,)}, opset=99), "operator set 99"),
        (lambda: model(inputs={"x": (2,)}, outputs=("x",)), "no nodes"),
        (lambda: model(node("Relu", ["x", "x", "x"], ["out"]), inputs={"x": (2,)}), "3 inputs"),
        (lambda: model(node("Concat", ["x", "x"], ["out"]), inputs={"x": (2,)}), "axis"),
        (lambda: model(node("MatMul", ["x", "x"], ["out"]), inputs={"x": (2, 3)}), "cannot be multiplied"),
        (lambda: model(node("MaxPool", ["x"], ["out"]), inputs={"x": (1, 1, 2, 2)}), "kernel_shape"),
        (lambda: model(node("Softmax", ["x"], ["out"], axis=7), inputs={"x": (2, 3)}), "axis 7"),
        (
            lambda: model(node("Add", ["x", "w"], ["out"]), inputs={"x": (2,)}, weights={"w": np.float32([np.nan])}),
            "holds NaN",
        ),
        (
            lambda: model(node("Add", ["x", "w"], ["out"]), inputs={"x": (2,)}, weights={"w": np.complex64([1])}),
            "'w'",
        ),
        (
            lambda: model(
                node("Expand", ["x", "w"], ["out"]), inputs={"x": (1,)}, weights={"w": np.array([2**40, 2**40])}
            ),
            "more than",
        ),
    ],
)
def test_a_model_that_is_none_is_named(raw, named: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ModelError, match=named):
        load(raw())


def test_weights_outside_the_file_are_refused() -> None:
    from onnx import TensorProto

    raw = model(node("Add", ["x", "w"], ["out"]), inputs={"x": (2,)}, weights={"w": np.ones(2, np.float32)})
    tensor = raw.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    with pytest.raises(ModelError, match="lies in another file"):
        load(raw)


def test_a_tensor_that_claims_more_than_it_holds_is_refused() -> None:
    raw = model(node("Add", ["x", "w"], ["out"]), inputs={"x": (2,)}, weights={"w": np.ones(2, np.float32)})
    raw.graph.initializer[0].dims[0] = 2**40
    with pytest.raises(ModelError, match="'w'"):
        load(raw)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        load_onnx(tmp_path / "absent.onnx")


@settings(max_examples=60)
@given(cut=st.integers(0, 20_000))
def test_a_cut_file(cut: int) -> None:
    accepted_or_named("onnx", content("onnx")[:cut])


@settings(max_examples=150)
@given(data=st.data())
def test_a_damaged_file(data: st.DataObject) -> None:
    raw = bytearray(content("onnx"))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    accepted_or_named("onnx", bytes(raw))


@settings(max_examples=150)
@given(data=st.data())
def test_a_graph_of_changed_names_operators_and_attributes(data: st.DataObject) -> None:
    """The file stays well-formed; what it says does not."""
    from onnx import ModelProto

    raw = ModelProto.FromString(content("onnx"))
    nodes = raw.graph.node
    for _ in range(data.draw(st.integers(1, 3))):
        chosen = data.draw(st.sampled_from(list(nodes)))
        names = [name for each in nodes for name in (*each.input, *each.output)]
        kind = data.draw(st.sampled_from(["op", "input", "output", "attribute", "drop"]))
        if kind == "op":
            chosen.op_type = data.draw(
                st.sampled_from([each.op_type for each in nodes] + ["Gather", "Transpose", "Exp"])
            )
        elif kind == "input" and chosen.input:
            chosen.input[data.draw(st.integers(0, len(chosen.input) - 1))] = data.draw(st.sampled_from([*names, ""]))
        elif kind == "output":
            chosen.output[0] = data.draw(st.sampled_from([*names, ""]))
        elif kind == "attribute" and chosen.attribute:
            attribute = data.draw(st.sampled_from(list(chosen.attribute)))
            attribute.i = data.draw(st.integers(-(2**63), 2**63 - 1))
            for place in range(len(attribute.ints)):
                attribute.ints[place] = data.draw(st.sampled_from([-1, 0, 1, 2, 7, 2**31, 2**62]))
        else:
            nodes.remove(chosen)
    accepted_or_named("onnx", raw.SerializeToString())


@settings(max_examples=100)
@given(data=st.binary(max_size=300))
def test_garbage(data: bytes) -> None:
    accepted_or_named("onnx", data)
