"""Writes a dlib network as ONNX: batch normalisation and pixel scaling vanish into the convolution beside them."""

from dataclasses import dataclass, field
from math import fsum

import numpy as np
from numpy.typing import NDArray

from models import ModelError
from models.conversion.dlib_network import (
    AddTagged,
    Affine,
    Architecture,
    Convolution,
    FullyConnected,
    Layer,
    Pool,
    Relu,
    Skip,
    Tag,
    read_network,
)
from models.conversion.graph import Graph

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Value:
    """What flows between two layers; `size` is None where the image may have any."""

    name: str
    channels: int
    size: Size | None


def network_to_onnx(content: bytes, architecture: Architecture, *, input_size: int | None) -> bytes:
    """An ONNX model from a dlib .dat file.

    Input: float32 [N, 3, input_size, input_size], RGB 0..255. With `input_size` None: float32 [N, 3, H, W] of any size,
    RGB, already (pixel - mean) / 256 as dlib's pyramid input makes it, because the zero padding around the image must
    mean "mean colour". Output: float32, [N, dimension] or the score map [N, 1, h, w].

    Raises ModelError where the file is not of this architecture.
    """
    network = read_network(content, architecture)
    size = None if input_size is None else (input_size, input_size)
    translation = _Translation(Value("input", 3, size), mean=None if size is None else network.mean)
    layers = list(network.layers)
    while layers:
        layer = layers.pop(0)
        if isinstance(layer, Convolution):
            following = layers.pop(0) if layers and isinstance(layers[0], Affine) else None
            translation.convolve(layer, following if isinstance(following, Affine) else None)
        else:
            translation.translate(layer)
    last = translation.current
    space: list[int | str] = ["H", "W"] if size is None else list(size)
    map_space: list[int | str] = ["h", "w"] if size is None else []
    return translation.graph.serialise(["N", 3, *space], last.name, ["N", last.channels, *map_space])


@dataclass(slots=True)
class _Translation:
    current: Value
    mean: tuple[float, float, float] | None  # to be folded into the first convolution, once
    graph: Graph = field(default_factory=Graph)
    tagged: dict[int, Value] = field(default_factory=dict)

    def translate(self, layer: Layer) -> None:
        match layer:
            case Tag(number):
                self.tagged[number] = self.current
            case Skip(number):
                self.current = self.tagged[number]
            case Relu():
                name = self.graph.apply("Relu", [self.current.name])
                self.current = Value(name, self.current.channels, self.current.size)
            case Pool():
                self._pool(layer)
            case AddTagged(number):
                self._add(self.tagged[number])
            case FullyConnected(weights, outputs):
                flat = self.graph.apply("Flatten", [self.current.name], axis=1)
                matrix = self.graph.constant(weights.reshape(-1, outputs))
                self.current = Value(self.graph.apply("MatMul", [flat, matrix]), outputs, None)
            case Convolution() | Affine():
                raise ModelError("the dlib file normalises something other than a convolution")

    def convolve(self, layer: Convolution, affine: Affine | None) -> None:
        parameters = layer.weights.astype(np.float64)
        weights, bias = parameters[: -layer.filters], parameters[-layer.filters :]
        weights = weights.reshape(layer.filters, self.current.channels, *layer.kernel)
        if affine is not None:
            weights = weights * affine.scale[:, None, None, None]
            bias = bias * affine.scale + affine.shift
        if self.mean is not None:
            weights, bias = _fold_pixel_scaling(weights, bias, self.mean)
            self.mean = None
        name = self.graph.apply(
            "Conv",
            [
                self.current.name,
                self.graph.constant(weights.astype(np.float32)),
                self.graph.constant(bias.astype(np.float32)),
            ],
            kernel_shape=layer.kernel,
            strides=layer.stride,
            pads=layer.padding * 2,
        )
        self.current = Value(name, layer.filters, _shrunk(self.current.size, layer))

    def _pool(self, layer: Pool) -> None:
        if layer.kernel == (0, 0):
            name = self.graph.apply("GlobalAveragePool", [self.current.name])
            self.current = Value(name, self.current.channels, (1, 1))
            return
        name = self.graph.apply(
            layer.operator,
            [self.current.name],
            kernel_shape=layer.kernel,
            strides=layer.stride,
            pads=layer.padding * 2,
        )
        self.current = Value(name, self.current.channels, _shrunk(self.current.size, layer))

    def _add(self, other: Value) -> None:
        """dlib's add_prev fills the smaller of the two with zeros: channels at the end, pixels right and below."""
        if self.current.size is None or other.size is None:
            raise ModelError("the dlib file adds maps whose size is not known")
        channels = max(self.current.channels, other.channels)
        size = max(self.current.size[0], other.size[0]), max(self.current.size[1], other.size[1])
        names = [self._padded(value, channels, size) for value in (self.current, other)]
        self.current = Value(self.graph.apply("Add", names), channels, size)

    def _padded(self, value: Value, channels: int, size: Size) -> str:
        if value.size is None or (value.channels, value.size) == (channels, size):
            return value.name
        after = [0, channels - value.channels, size[0] - value.size[0], size[1] - value.size[1]]
        pads = self.graph.constant(np.array([0, 0, 0, 0, *after], np.int64))
        return self.graph.apply("Pad", [value.name, pads], mode="constant")


def _fold_pixel_scaling(
    weights: NDArray[np.float64], bias: NDArray[np.float64], mean: tuple[float, float, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lets a convolution without padding take raw pixels: w * (x - mean) / 256 + b = (w / 256) * x + b'.

    fsum, because numpy's sum rounds differently from one processor to the next.
    """
    scaled = weights / 256
    offsets = scaled * np.array(mean)[None, :, None, None]
    return scaled, bias - np.array([fsum(offset.ravel()) for offset in offsets])


def _shrunk(size: Size | None, layer: Convolution | Pool) -> Size | None:
    if size is None:
        return None
    rows, columns = (
        (extent + 2 * padding - kernel) // stride + 1
        for extent, padding, kernel, stride in zip(size, layer.padding, layer.kernel, layer.stride, strict=True)
    )
    return rows, columns
