"""A session runs where it was told to, on weights that are all inside the checked bytes."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]
import pytest
from onnx import TensorProto, helper

from models import ModelError
from models.session import Session, providers_in_use


def model(weight: onnx.TensorProto, *, hidden: bool = False) -> bytes:
    """y = x + weight, the weight an initializer or, hidden, the value of a node."""
    nodes = [helper.make_node("Constant", [], ["w"], value=weight)] if hidden else []
    nodes.append(helper.make_node("Add", ["x", "w"], ["y"]))
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 2]) for name in "xy")
    graph = helper.make_graph(nodes, "g", [x], [y], [] if hidden else [weight])
    opset = [helper.make_opsetid("", 13)]
    return bytes(helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString())


def inside() -> onnx.TensorProto:
    return helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 2.0])


def outside() -> onnx.TensorProto:
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2], data_location=TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value="hostname")
    return weight


def test_runs_on_the_cpu_and_says_so() -> None:
    session = Session("plus", model(inside()))
    assert session.provider == "cpu"
    assert providers_in_use(session) == ("CPUExecutionProvider",)
    assert session.input_shape == ("N", 2)
    assert session.run(np.zeros((1, 2), np.float32))[0].tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize("hidden", [False, True])
def test_external_data_is_refused(hidden: bool) -> None:
    with pytest.raises(ModelError, match="plus keeps weights in other files"):
        Session("plus", model(outside(), hidden=hidden))


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x07"])
def test_what_is_no_model_is_refused_in_one_line(content: bytes) -> None:
    with pytest.raises(ModelError, match="broken") as caught:
        Session("broken", content)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="this onnxruntime is built for CUDA"
)
def test_cuda_that_cannot_be_had_is_an_error_and_no_slow_success() -> None:
    with pytest.raises(ModelError, match="provider cuda was asked for"):
        Session("plus", model(inside()), provider="cuda")


@pytest.mark.gpu
def test_cuda_is_used_where_it_is() -> None:
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime is built for the CPU")
    try:
        session = Session("plus", model(inside()), provider="cuda")
    except ModelError:
        pytest.skip("no CUDA device")
    assert session.provider == "cuda"


def test_onnxruntime_keeps_no_record_of_its_use_and_reports_none(tmp_path: Path) -> None:
    # Left on, its telemetry writes a session and a database of events here as soon as it is loaded.
    places = {"HOME": str(tmp_path), "TMPDIR": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ORT_")}
    subprocess.run([sys.executable, "-c", "import models.session"], env=inherited | places, check=True, timeout=60)
    assert list(tmp_path.iterdir()) == []
