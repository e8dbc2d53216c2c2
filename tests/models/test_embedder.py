"""Pixels reach the network in the order and scale its training used, one at a time if it can only take one."""

from typing import Literal

import numpy as np
import pytest
from onnx import TensorProto, helper

from models import ModelError
from models.align import ARCFACE
from models.embedder import BATCH, Embedder
from models.session import Session


def mean_colour(batch: int | str) -> Session:
    """A network that gives each chip's mean per channel."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3, 112, 112])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 3])
    nodes = [helper.make_node("GlobalAveragePool", ["x"], ["p"]), helper.make_node("Flatten", ["p"], ["y"])]
    graph = helper.make_graph(nodes, "mean", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return Session("mean", model.SerializeToString())


@pytest.mark.parametrize(("colour", "expected"), [("bgr", (-1.0, 0.0, 1.0)), ("rgb", (1.0, 0.0, -1.0))])
@pytest.mark.parametrize("batch", [1, "N"])
def test_preprocessing(colour: Literal["bgr", "rgb"], expected: tuple[float, ...], batch: int | str) -> None:
    embedder = Embedder(mean_colour(batch), ARCFACE, colour, 100, 0.01, 3, unit_length=False)
    image = np.full((112, 112, 3), (0, 100, 200), np.uint8)
    templates = embedder.embed(image, [ARCFACE.points.astype(np.float32)] * 3)
    np.testing.assert_allclose(templates, [expected] * 3, atol=0.06)


def test_unit_length_and_black() -> None:
    embedder = Embedder(mean_colour("N"), ARCFACE, "bgr", 0, 1, 3, unit_length=True)
    points = [ARCFACE.points.astype(np.float32)]
    white = embedder.embed(np.full((112, 112, 3), 255, np.uint8), points)
    np.testing.assert_allclose(np.linalg.norm(white, axis=1), 1, atol=1e-6)
    assert np.isfinite(embedder.embed(np.zeros((112, 112, 3), np.uint8), points)).all()


def test_another_dimension_is_refused() -> None:
    embedder = Embedder(mean_colour("N"), ARCFACE, "bgr", 0, 1, 128, unit_length=True)
    with pytest.raises(ModelError, match="128 numbers"):
        embedder.embed(np.zeros((112, 112, 3), np.uint8), [ARCFACE.points.astype(np.float32)])


def test_a_fixed_batch_runs_one_size_and_gives_the_same() -> None:
    image = np.random.default_rng(3).integers(0, 256, (112, 112, 3), np.uint8)
    points = [ARCFACE.points.astype(np.float32) + np.float32(shift) for shift in range(11)]
    free = Embedder(mean_colour("N"), ARCFACE, "bgr", 0, 1, 3, unit_length=True)
    fixed = Embedder(mean_colour(BATCH), ARCFACE, "bgr", 0, 1, 3, unit_length=True, fixed_batch=True)
    for faces in (0, 1, 3, 8, 11):
        np.testing.assert_array_equal(fixed.embed(image, points[:faces]), free.embed(image, points[:faces]))
