"""Collects nodes and weights into one ONNX model, with names that depend on nothing but their order."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

OPSET = 13
IR_VERSION = 8  # the oldest that carries opset 13, so that an operator's older onnxruntime can read it, too


class Graph:
    """A model with one input, named "input", float32 NCHW, and one output, named "output"."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []

    def constant(self, value: NDArray[np.float32] | NDArray[np.int64]) -> str:
        name = f"c{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def apply(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        name = f"v{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def serialise(self, input_shape: Sequence[int | str], output: str, output_shape: Sequence[int | str]) -> bytes:
        """The model's bytes; a size that is a string is free at run time."""
        self._nodes[[node.output[0] for node in self._nodes].index(output)].output[0] = "output"
        graph = helper.make_graph(
            self._nodes,
            "faceline",
            [helper.make_tensor_value_info("input", onnx.TensorProto.FLOAT, list(input_shape))],
            [helper.make_tensor_value_info("output", onnx.TensorProto.FLOAT, list(output_shape))],
            self._weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        onnx.checker.check_model(model)
        return cast(bytes, model.SerializeToString(deterministic=True))
