"""Opens onnxruntime sessions, and says which processor they really run on.

onnxruntime falls back to the CPU without a word when CUDA cannot be had; a fleet sized for GPUs would then only be
slow. Here that is an error.
"""

from collections.abc import Iterable, Iterator
from typing import Literal, cast

import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray

from models import ModelError

Provider = Literal["cpu", "cuda"]

# TF32 would round products to 10 bits: templates of a GPU worker and of a CPU worker must be comparable.
# The exhaustive algorithm search would run again for every new image size.
CUDA_OPTIONS = {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}
ERRORS_ONLY = 3


class Session:
    """One model, ready to run; safe to share between threads."""

    def __init__(self, name: str, model: bytes, *, provider: Provider = "cpu", threads: int = 1) -> None:
        """Raises ModelError for bytes that are no self-contained ONNX model, and where `provider` cannot be had."""
        refuse_external_data(name, model)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = ERRORS_ONLY
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=_wanted(provider))
        except Exception as error:
            # onnxruntime's exceptions share no base class but this one
            raise ModelError(f"onnxruntime cannot load {name}: {_first_line(error)}") from error
        self.input_shape: tuple[int | str | None, ...] = tuple(self._session.get_inputs()[0].shape)
        self._input = self._session.get_inputs()[0].name
        if provider == "cuda" and self.provider != "cuda":
            raise ModelError(
                f"{name} was to run on cuda, but onnxruntime fell back to {providers_in_use(self)}: "
                "install the extra faceline[gpu] and a CUDA 13 driver, or set the provider to cpu"
            )

    @property
    def provider(self) -> Provider:
        """Where the session really runs."""
        return "cuda" if providers_in_use(self)[0] == "CUDAExecutionProvider" else "cpu"

    def run(self, blob: NDArray[np.floating | np.integer]) -> list[NDArray[np.float32]]:
        """All outputs, in the model's order, for one input."""
        return cast("list[NDArray[np.float32]]", self._session.run(None, {self._input: np.asarray(blob, np.float32)}))


def providers_in_use(session: Session) -> tuple[str, ...]:
    """onnxruntime's names of the execution providers a session has, the preferred one first."""
    return tuple(session._session.get_providers())


def refuse_external_data(name: str, model: bytes) -> None:
    """Raises ModelError where a model names other files: their content would escape the checksum."""
    try:
        graph = onnx.load_model_from_string(model).graph
    except DecodeError as error:
        raise ModelError(f"{name} is not an ONNX model: fetch it again") from error
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in _tensors(graph)):
        raise ModelError(f"{name} keeps weights in other files, which no checksum covers: use a self-contained model")


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _tensors_of_nodes(graph.node)


def _tensors_of_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.TensorProto]:
    for node in nodes:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for graph in (attribute.g, *attribute.graphs):
                yield from _tensors(graph)


def _wanted(provider: Provider) -> list[str | tuple[str, dict[str, str]]]:
    if provider == "cpu":
        return ["CPUExecutionProvider"]
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        raise ModelError(
            "the provider cuda was asked for, but the installed onnxruntime is built for the CPU: "
            "install the extra faceline[gpu] instead of faceline[cpu], or set the provider to cpu"
        )
    onnxruntime.preload_dlls()  # the CUDA libraries of the extra lie in site-packages, where no loader looks
    return [("CUDAExecutionProvider", CUDA_OPTIONS), "CPUExecutionProvider"]


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
