"""Reads a trained dlib network: which layers it has, in the order in which an image passes them.

A .dat file does not describe its own architecture: in dlib that is a C++ type. The two architectures here are those of
dlib's examples dnn_face_recognition_ex.cpp (RESNET) and dnn_mmod_face_detection_ex.cpp (MMOD), innermost layer first.
The file stores the loss, then version numbers outermost first, then the input layer, then the layers innermost first.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models import ModelError
from models.conversion.dlib_reader import DlibReader

Weights = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Convolution:
    """`weights` holds filters x channels x rows x columns and then one bias per filter, flat."""

    weights: Weights
    filters: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Affine:
    """A batch normalisation as it acts at inference: x * scale + shift, per channel, float64."""

    scale: NDArray[np.float64]
    shift: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pool:
    """`operator` is ONNX's name; a kernel of (0, 0) covers the whole map."""

    operator: str
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]


@dataclass(frozen=True, slots=True)
class FullyConnected:
    """`weights` is inputs x outputs, flat; there is no bias in these networks."""

    weights: Weights
    outputs: int


@dataclass(frozen=True, slots=True)
class Relu:
    """max(x, 0)."""


@dataclass(frozen=True, slots=True)
class Tag:
    """Remembers the value that passes here under a number."""

    number: int


@dataclass(frozen=True, slots=True)
class Skip:
    """Goes on with the value remembered under a number."""

    number: int


@dataclass(frozen=True, slots=True)
class AddTagged:
    """Adds the value remembered under a number."""

    number: int


Trained = Convolution | Affine | Pool | FullyConnected | Relu
Layer = Trained | Tag | Skip | AddTagged


@dataclass(frozen=True, slots=True)
class Stored:
    """A place in an architecture whose layer the file itself names."""


Architecture = list[Stored | Tag | Skip | AddTagged]

_STORED: Architecture = [Stored()]
_LAYERS_OF_A_BLOCK = _STORED * 5  # convolution, affine, relu, convolution, affine
_RESIDUAL: Architecture = [Tag(1), *_LAYERS_OF_A_BLOCK, AddTagged(1), Stored()]
_RESIDUAL_DOWN: Architecture = [Tag(1), *_LAYERS_OF_A_BLOCK, Tag(2), Skip(1), Stored(), AddTagged(2), Stored()]
RESNET: Architecture = [
    *_STORED * 4,
    *(_RESIDUAL * 3 + _RESIDUAL_DOWN),
    *(_RESIDUAL * 3 + _RESIDUAL_DOWN),
    *(_RESIDUAL * 2 + _RESIDUAL_DOWN),
    *(_RESIDUAL * 2 + _RESIDUAL_DOWN),
    *_STORED * 2,
]
MMOD: Architecture = _STORED * (6 * 3 + 1)


@dataclass(frozen=True, slots=True)
class Network:
    """`mean` is subtracted from the RGB pixels 0..255, which are then divided by 256."""

    mean: tuple[float, float, float]
    layers: tuple[Layer, ...]


def read_network(content: bytes, architecture: Architecture) -> Network:
    """The layers of a .dat file. Raises ModelError where the file is not of this architecture."""
    reader = DlibReader(content)
    reader.version(1)
    _skip_loss(reader)
    stored = sum(isinstance(place, Stored) for place in architecture)
    versions = [reader.integer() for _ in architecture][::-1]
    mean = _read_input(reader)
    layers: list[Layer] = []
    for index, (place, version) in enumerate(zip(architecture, versions, strict=True)):
        match place:
            case Stored():
                layers.append(_read_layer(reader))
                _skip_training_state(reader, version, innermost=index == 0)
            case AddTagged():
                if reader.text() != "add_prev_":
                    raise ModelError("the dlib file has no skip connection where this architecture has one")
                _skip_training_state(reader, version, innermost=False)
                layers.append(place)
            case Tag() | Skip():
                layers.append(place)
    if not reader.at_end():
        raise ModelError(f"the dlib file holds more than the {stored} layers of this architecture")
    return Network(mean, tuple(layers))


def _skip_loss(reader: DlibReader) -> None:
    match reader.text():
        case "loss_metric_2":
            _ = reader.real(), reader.real()
        case "loss_mmod_":
            reader.version(1)
            _ = reader.integer(), reader.integer(), [reader.real() for _ in range(3 + 2 + 2)]
        case name:
            raise ModelError(f"the dlib file ends in {name}, which is neither of the two networks known here")


def _read_input(reader: DlibReader) -> tuple[float, float, float]:
    name = reader.text()
    mean = (reader.real(), reader.real(), reader.real())
    match name:
        case "input_rgb_image_sized":
            _ = reader.integer(), reader.integer()
        case "input_rgb_image_pyramid":
            pass
        case _:
            raise ModelError(f"the dlib file begins with {name}, which is neither of the two networks known here")
    return mean


def _read_layer(reader: DlibReader) -> Trained:
    match reader.text():
        case "con_4":
            weights, filters = reader.tensor(), reader.integer()
            kernel, stride, padding = _pair(reader), _pair(reader), _pair(reader)
            _ = reader.shape(), reader.shape(), [reader.real() for _ in range(4)]
            return Convolution(weights, filters, kernel, stride, padding)
        case "affine_":
            weights, _, _, _ = reader.tensor(), reader.shape(), reader.shape(), reader.integer()
            scale, shift = np.split(weights.astype(np.float64), 2)
            return Affine(scale, shift)
        case "bn_con2":
            return _read_batch_normalisation(reader)
        case "fc_2":
            outputs, _, weights = reader.integer(), reader.integer(), reader.tensor()
            _ = reader.shape(), reader.shape(), reader.integer(), [reader.real() for _ in range(4)]
            return FullyConnected(weights, outputs)
        case "relu_":
            return Relu()
        case "max_pool_2":
            return Pool("MaxPool", _pair(reader), _pair(reader), _pair(reader))
        case "avg_pool_2":
            return Pool("AveragePool", _pair(reader), _pair(reader), _pair(reader))
        case name:
            raise ModelError(f"the dlib file has a layer {name}, which is not known here")


def _read_batch_normalisation(reader: DlibReader) -> Affine:
    weights, _, _ = reader.tensor(), reader.shape(), reader.shape()
    _ = reader.tensor(), reader.tensor()  # statistics of the last training batch
    mean, variance = reader.tensor().astype(np.float64), reader.tensor().astype(np.float64)
    _ = reader.integer(), reader.integer(), [reader.real() for _ in range(4)]
    epsilon = reader.real()
    gamma, beta = np.split(weights.astype(np.float64), 2)
    scale = gamma / np.sqrt(variance + epsilon)
    return Affine(scale, beta - mean * scale)


def _skip_training_state(reader: DlibReader, version: int, *, innermost: bool) -> None:
    _ = reader.flag(), reader.flag(), reader.flag(), reader.tensor(), reader.tensor()
    if innermost:
        reader.tensor()
        if version >= 3:
            reader.integer()
    elif version == 2:
        reader.tensor()


def _pair(reader: DlibReader) -> tuple[int, int]:
    return reader.integer(), reader.integer()
