"""Opens onnxruntime sessions, and says which processor they really run on.

onnxruntime falls back to the CPU without a word when CUDA cannot be had; a fleet sized for GPUs would then only be
slow. Here that is an error.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, cast

import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray

from models import ModelError
from models.cuda import load_cuda

Provider = Literal["cpu", "cuda"]

# TF32 would round products to 10 bits: templates of a GPU worker and of a CPU worker must be comparable. Measured on an
# H200 against the CPU: they differ by up to 4e-7 without it, 2e-4 with it, where the landmarks are the same.
# Every new shape is planned once. The heuristic plans it in 0.1 to 1.6 s, the exhaustive search in two to three times
# that to no gain; the default plans sooner, and then runs the recogniser of the pack retail thirty times slower.
CUDA_OPTIONS = {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}
PROVIDERS: Mapping[Provider, Sequence[str | tuple[str, dict[str, str]]]] = {
    "cpu": ("CPUExecutionProvider",),
    "cuda": (("CUDAExecutionProvider", CUDA_OPTIONS), "CPUExecutionProvider"),
}
ERRORS_ONLY = 3
# What stands in onnxruntime's CudaCall errors between two C++ signatures and a host name.
CUDA_FAILURE = re.compile(r"(CUDA failure \d+: .*?) *; *GPU=")


class Session:
    """One model, ready to run; safe to share between threads."""

    def __init__(self, name: str, model: bytes, *, provider: Provider = "cpu", threads: int = 1) -> None:
        """Raises ModelError for bytes that are no self-contained ONNX model, and where `provider` cannot be had."""
        refuse_external_data(name, model)
        if provider == "cuda":
            load_cuda()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = ERRORS_ONLY
        try:
            # Left enabled, its own fall-back would go on without CUDA, at the start or after any later image.
            self._session = onnxruntime.InferenceSession(
                model, options, providers=PROVIDERS[provider], enable_fallback=False
            )
        except Exception as error:
            # onnxruntime's exceptions share no base class but this one
            raise ModelError(f"onnxruntime cannot load {name} on {provider}: {reason(error)}") from error
        self.input_shape: tuple[int | str | None, ...] = tuple(self._session.get_inputs()[0].shape)
        self._input = self._session.get_inputs()[0].name
        if self.provider != provider:
            raise ModelError(
                f"{name} was to run on {provider}, but onnxruntime fell back to {providers_in_use(self)}: "
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


def reason(error: Exception) -> str:
    """The one line of an onnxruntime error that says something: CUDA's own words with the cure, else its first line."""
    text = str(error).strip()
    found = CUDA_FAILURE.search(text)
    if found:
        return f"{found[1]}: look at the GPU with nvidia-smi, or set the provider to cpu"
    return text.partition("\n")[0]
