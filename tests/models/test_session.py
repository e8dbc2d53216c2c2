"""A session runs where it was told to, on weights that are all inside the checked bytes."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnxruntime.capi.onnxruntime_pybind11_state import EPFail  # type: ignore[import-untyped]

from models import ModelError
from models.session import Session, providers_in_use, reason


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


def test_the_own_fall_back_of_onnxruntime_is_off(capfd: pytest.CaptureFixture[str]) -> None:
    session = Session("plus", model(inside()))
    session._session._sess = SimulatedFailingGpu(session._session._sess)
    with pytest.raises(EPFail, match="out of memory"):
        session.run(np.zeros((1, 2), np.float32))
    assert capfd.readouterr() == ("", "")


class SimulatedFailingGpu:
    """Stands for a native session whose GPU has just failed; all but the run is the native session's."""

    def __init__(self, native: object) -> None:
        self._native = native

    def __getattr__(self, name: str) -> object:
        return getattr(self._native, name)

    def run(self, *_: object) -> None:
        raise EPFail("CUDA failure 2: out of memory")


NO_DEVICE = """/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:154 std::conditional_t<THRW, void, \
onnxruntime::common::Status> onnxruntime::CudaCall(ERRTYPE, const char*, const char*, SUCCTYPE, const char*, \
const char*, int) [with ERRTYPE = cudaError; bool THRW = true; SUCCTYPE = cudaError; std::conditional_t<THRW, void, \
common::Status> = void] CUDA failure 100: no CUDA-capable device is detected ; GPU=-1 ; hostname=vm ; \
file=/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_execution_provider.cc ; line=355 ; \
expr=cudaSetDevice(info_.device_id);"""


def test_of_an_error_what_says_something_is_told() -> None:
    assert reason(RuntimeError(NO_DEVICE)) == (
        "CUDA failure 100: no CUDA-capable device is detected: "
        "look at the GPU with nvidia-smi, or set the provider to cpu"
    )
    assert reason(RuntimeError("\nthe cause\nand where in C++")) == "the cause"


def test_onnxruntime_keeps_no_record_of_its_use_and_reports_none(tmp_path: Path) -> None:
    # Left on, its telemetry writes a session and a database of events here as soon as it is loaded.
    places = {"HOME": str(tmp_path), "TMPDIR": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ORT_")}
    subprocess.run([sys.executable, "-c", "import models.session"], env=inherited | places, check=True, timeout=60)
    assert list(tmp_path.iterdir()) == []
