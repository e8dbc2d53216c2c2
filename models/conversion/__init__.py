"""Turns the weights as their authors publish them into files that onnxruntime and numpy can run.

Every conversion is a pure function of its input bytes and uses only exactly rounded arithmetic, so its result is the
same on every machine. That is what allows the catalogue to pin the checksum of a file which nobody publishes.
"""

from collections.abc import Sequence
from typing import Literal

Recipe = Literal["dlib-mmod", "dlib-resnet", "dlib-shape-predictor", "openvino"]


def convert(recipe: Recipe, sources: Sequence[bytes]) -> bytes:
    """The runnable file made from its sources, given in the order of the catalogue.

    Raises ModelError where a source is not of the format that the recipe reads.
    """
    # Here, because they load onnx, and whoever reads the catalogue converts nothing.
    from models.conversion.dlib_network import MMOD, RESNET
    from models.conversion.dlib_onnx import network_to_onnx
    from models.conversion.dlib_shape import shape_predictor_to_npz
    from models.conversion.openvino import openvino_to_onnx

    match recipe:
        case "dlib-mmod":
            (weights,) = sources
            return network_to_onnx(weights, MMOD, input_size=None)
        case "dlib-resnet":
            (weights,) = sources
            return network_to_onnx(weights, RESNET, input_size=150)
        case "dlib-shape-predictor":
            (weights,) = sources
            return shape_predictor_to_npz(weights)
        case "openvino":
            topology, weights = sources
            return openvino_to_onnx(topology, weights)
