"""Writes an OpenVINO network (IR version 11) as ONNX, for the Open Model Zoo publishes face models only as IR.

Two changes keep onnxruntime in its fast blocked layout and halve the time of face-reidentification-retail-0095: a PReLU
with one slope for all channels becomes LeakyRelu, and constant additions and factors behind a convolution go into it.
"""

import xml.etree.ElementTree as ElementTree
from collections import Counter
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models import ModelError
from models.conversion.graph import Graph

ELEMENTS = {"f16": "<f2", "f32": "<f4", "i64": "<i8", "i32": "<i4"}


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of the topology; `inputs` are the layers that feed it, `shape` is that of its first input."""

    kind: str
    attributes: dict[str, str]
    inputs: tuple[str, ...]
    shape: tuple[int, ...]


@dataclass(slots=True)
class Convolution:
    """A convolution not yet written, so that what follows can still be folded into it."""

    source: str
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    attributes: dict[str, Any]


def openvino_to_onnx(topology: bytes, weights: bytes) -> bytes:
    """An ONNX model with input float32 [N, ...] and output float32 [N, D] from an IR's .xml and .bin.

    Raises ModelError for a layer kind that the face models of the Open Model Zoo do not have.
    """
    layers = _read_topology(topology)
    consumers = Counter(source for layer in layers.values() for source in layer.inputs)
    translation = _Translation(weights, consumers)
    order = TopologicalSorter({name: layer.inputs for name, layer in layers.items()}).static_order()
    input_shape: tuple[int, ...] = ()
    for name in order:
        layer = layers[name]
        if layer.kind == "Parameter":
            input_shape = _integers(layer.attributes["shape"])
            translation.values[name] = "input"
        elif layer.kind == "Result":
            flat = translation.graph.apply("Flatten", [translation.value(layer.inputs[0])], axis=1)
            result = (flat, prod(layer.shape[1:]))
        else:
            translation.translate(name, layer)
    return translation.graph.serialise(["N", *input_shape[1:]], result[0], ["N", result[1]])


def _read_topology(topology: bytes) -> dict[str, Layer]:
    root = ElementTree.fromstring(topology)  # noqa: S314 - read only after its checksum was found right
    sources = {
        (edge.attrib["to-layer"], edge.attrib["to-port"]): edge.attrib["from-layer"]
        for edge in root.iterfind("edges/edge")
    }
    layers = {}
    for layer in root.iterfind("layers/layer"):
        name, data = layer.attrib["id"], layer.find("data")
        ports = layer.findall("input/port")
        layers[name] = Layer(
            kind=layer.attrib["type"],
            attributes={} if data is None else dict(data.attrib),
            inputs=tuple(sources[name, port.attrib["id"]] for port in ports),
            shape=tuple(int(dim.text or "") for dim in ports[0].iterfind("dim")) if ports else (),
        )
    return layers


@dataclass(slots=True)
class _Translation:
    weights: bytes
    consumers: Counter[str]
    graph: Graph = field(default_factory=Graph)
    values: dict[str, str] = field(default_factory=dict)
    constants: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    convolutions: dict[str, Convolution] = field(default_factory=dict)

    def translate(self, name: str, layer: Layer) -> None:
        match layer.kind:
            case "Const":
                self.constants[name] = self._constant(layer)
            case "Convert" if layer.inputs[0] in self.constants:
                self.constants[name] = self.constants[layer.inputs[0]]
            case "Convolution" | "GroupConvolution":
                self._convolve(name, layer)
            case "Add" | "Multiply":
                if not self._fold(name, layer):
                    operator = {"Add": "Add", "Multiply": "Mul"}[layer.kind]
                    self.values[name] = self.graph.apply(operator, [self.value(source) for source in layer.inputs])
            case "PReLU":
                self._prelu(name, layer)
            case "Sigmoid":
                self.values[name] = self.graph.apply("Sigmoid", [self.value(layer.inputs[0])])
            case "AvgPool" if _integers(layer.attributes["kernel"]) == layer.shape[2:]:
                self.values[name] = self.graph.apply("GlobalAveragePool", [self.value(layer.inputs[0])])
            case kind:
                raise ModelError(f"the OpenVINO network has a layer {kind}, which is not converted here")

    def value(self, name: str) -> str:
        """The ONNX name of a layer's output; a convolution is written when it is first asked for."""
        if name in self.constants and name not in self.values:
            self.values[name] = self.graph.constant(self.constants[name])
        if name not in self.values:
            pending = self.convolutions[name]
            inputs = [pending.source, self.graph.constant(pending.weights), self.graph.constant(pending.bias)]
            self.values[name] = self.graph.apply("Conv", inputs, **pending.attributes)
        return self.values[name]

    def _constant(self, layer: Layer) -> NDArray[np.float32]:
        dtype, size = np.dtype(ELEMENTS[layer.attributes["element_type"]]), int(layer.attributes["size"])
        flat = np.frombuffer(self.weights, dtype, size // dtype.itemsize, int(layer.attributes["offset"]))
        return flat.reshape(_integers(layer.attributes["shape"])).astype(np.float32)

    def _convolve(self, name: str, layer: Layer) -> None:
        weights, groups = self.constants[layer.inputs[1]], 1
        if layer.kind == "GroupConvolution":
            groups = weights.shape[0]
            weights = weights.reshape(-1, *weights.shape[2:])
        self.convolutions[name] = Convolution(
            self.value(layer.inputs[0]),
            weights,
            np.zeros(weights.shape[0], np.float32),
            {
                "kernel_shape": weights.shape[2:],
                "strides": _integers(layer.attributes["strides"]),
                "dilations": _integers(layer.attributes["dilations"]),
                "pads": _integers(layer.attributes["pads_begin"]) + _integers(layer.attributes["pads_end"]),
                "group": groups,
            },
        )

    def _fold(self, name: str, layer: Layer) -> bool:
        """Takes a constant per channel into the convolution before it, if nobody else reads that convolution."""
        source, other = sorted(layer.inputs, key=lambda origin: origin in self.constants)
        pending = self.convolutions.get(source)
        constant = self.constants.get(other)
        if pending is None or constant is None or self.consumers[source] != 1:
            return False
        if constant.size != pending.bias.size:
            return False
        channel = constant.ravel()
        if layer.kind == "Add":
            pending.bias = pending.bias + channel
        else:
            pending.weights = pending.weights * channel[:, None, None, None]
            pending.bias = pending.bias * channel
        self.convolutions[name] = pending
        return True

    def _prelu(self, name: str, layer: Layer) -> None:
        source, slope = self.value(layer.inputs[0]), self.constants[layer.inputs[1]]
        if slope.size == 1:
            self.values[name] = self.graph.apply("LeakyRelu", [source], alpha=float(slope.item()))
        else:
            self.values[name] = self.graph.apply("PRelu", [source, self.graph.constant(slope.reshape(-1, 1, 1))])


def _integers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(",") if part.strip())
