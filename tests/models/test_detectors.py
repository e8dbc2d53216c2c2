"""Every detector finds the faces that are there, where they are, and none elsewhere."""

from pathlib import Path

import cv2
import msgspec
import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.catalogue import MmodSpec, Pack
from models.detectors import STRIDES, YuNet, decode_scrfd, decode_yunet
from models.image import decode
from models.pack import Detection, FaceModels, load
from models.session import Session
from models.store import ModelStore

Image = NDArray[np.uint8]


@pytest.fixture(params=["dlib", "retail"])
def models(request: pytest.FixtureRequest) -> FaceModels:
    found: FaceModels = request.getfixturevalue(request.param)
    return found


def the_only(found: list[Detection]) -> Detection:
    assert len(found) == 1
    return found[0]


def test_the_astronaut_is_found(models: FaceModels, astronaut: Image) -> None:
    face = the_only(models.detect(astronaut))
    left, top, width, height = face.box
    assert left < 224 < left + width
    assert top < 120 < top + height
    assert 70 < height < 130
    expected = [(203.5, 102), (247, 104), (224, 126), (204, 143), (243, 143)]
    np.testing.assert_allclose(face.landmarks, expected, atol=7)


def test_the_admiral_is_found(models: FaceModels, hopper: Image) -> None:
    face = the_only(models.detect(hopper))
    left_eye, right_eye, nose, left_mouth, right_mouth = face.landmarks
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_mouth[0] < right_mouth[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])


def test_coordinates_are_of_the_whole_image(models: FaceModels, astronaut: Image) -> None:
    small = the_only(models.detect(astronaut))
    large = the_only(models.detect(np.asarray(cv2.resize(astronaut, None, fx=4, fy=4), np.uint8)))
    np.testing.assert_allclose(large.landmarks / 4, small.landmarks, atol=8)


def test_a_face_cut_by_the_border_gets_a_box_inside(models: FaceModels, hopper: Image) -> None:
    face = the_only(models.detect(hopper))
    cropped = hopper[:, int(face.box[0] + face.box[2] * 0.2) :]
    for found in models.detect(np.ascontiguousarray(cropped)):
        left, top, width, height = found.box
        assert 0 <= left < left + width <= cropped.shape[1] + 1e-3
        assert 0 <= top < top + height <= cropped.shape[0] + 1e-3


@pytest.mark.parametrize("shape", [(360, 640), (8, 8), (1, 500), (900, 30)])
def test_nobody_is_found_where_nobody_is(models: FaceModels, shape: tuple[int, int]) -> None:
    assert models.detect(np.full((*shape, 3), 127, np.uint8)) == []
    assert models.detect(np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)) == []


def test_both_of_a_couple_are_found(models: FaceModels, shared: Path) -> None:
    faces = models.detect(decode((shared / "media/people/couple.jpg").read_bytes()))
    assert len(faces) == 2
    assert faces[0].score >= faces[1].score


def test_yunet_equals_opencvs(retail: FaceModels, astronaut: Image, shared: Path) -> None:
    theirs = cv2.FaceDetectorYN.create(str(shared / "models/yunet_n_dynamic.onnx"), "", (512, 512), 0.8, 0.3)
    _, (row,) = theirs.detect(astronaut)
    ours = the_only(retail.detect(astronaut))
    np.testing.assert_allclose([*ours.box, *ours.landmarks.ravel(), ours.score], row, atol=0.01)


def test_a_network_of_fixed_size_finds_the_same(retail: FaceModels, astronaut: Image, shared: Path) -> None:
    """As the opencv pack's detector is published: for 640 x 640 alone."""
    model = onnx.load(shared / "models/yunet_n_dynamic.onnx")
    for size, fixed in zip(model.graph.input[0].type.tensor_type.shape.dim, (1, 3, 640, 640), strict=True):
        size.dim_value = fixed
    fixed_size = YuNet(Session("fixed", model.SerializeToString()), score=0.8, overlap=0.3, longest_side=640)
    ours, free = the_only(fixed_size.detect(astronaut)), the_only(retail.detect(astronaut))
    np.testing.assert_allclose(ours.box, free.box, atol=0.5)
    np.testing.assert_allclose(ours.landmarks, free.landmarks, atol=0.5)


def test_upsampling_finds_smaller_faces(dlib: FaceModels, dlib_pack: Pack, store: ModelStore, astronaut: Image) -> None:
    small = np.zeros((360, 640, 3), np.uint8)
    small[50:300, 100:350] = cv2.resize(astronaut, (250, 250), interpolation=cv2.INTER_AREA)
    assert dlib.detect(small) == []
    assert isinstance(dlib_pack.detector, MmodSpec)
    detector = msgspec.structs.replace(dlib_pack.detector, upsample=True)
    upsampling = load(msgspec.structs.replace(dlib_pack, detector=detector), store.ensure(dlib_pack))
    face = the_only(upsampling.detect(small))
    np.testing.assert_allclose(face.landmarks[:2], [(199, 100), (220.5, 101)], atol=4)


SIDE = 640
coordinates = st.floats(-3, 3, width=32)


@given(level=st.sampled_from([0, 1, 2]), row=st.integers(0, 19), column=st.integers(0, 19), numbers=st.data())
def test_yunet_maps_are_read_back(level: int, row: int, column: int, numbers: st.DataObject) -> None:
    box = np.array(numbers.draw(st.lists(coordinates, min_size=4, max_size=4)), np.float32)
    points = np.array(numbers.draw(st.lists(coordinates, min_size=10, max_size=10)), np.float32)
    sizes = (1, 1, 4, 10)
    maps = [np.zeros((1, (SIDE // stride) ** 2, size), np.float32) for size in sizes for stride in STRIDES]
    stride, cell = STRIDES[level], row * (SIDE // STRIDES[level]) + column
    for kind, value in enumerate((np.float32(0.9), np.float32(0.9), box, points)):
        maps[level + 3 * kind][0, cell] = value
    boxes, scores, landmarks = decode_yunet(maps, SIDE, 0.8, scale=0.5)
    centre = boxes[:, :2] + boxes[:, 2:] / 2
    np.testing.assert_allclose(centre, [2 * stride * (box[:2] + np.array([column, row]))], rtol=1e-4, atol=1e-2)
    np.testing.assert_allclose(boxes[:, 2:], [2 * stride * np.exp(box[2:])], rtol=1e-4)
    np.testing.assert_allclose(
        landmarks, [2 * stride * (points.reshape(5, 2) + np.array([column, row]))], rtol=1e-4, atol=1e-2
    )
    np.testing.assert_allclose(scores, [0.9], rtol=1e-6)


@given(level=st.sampled_from([0, 1, 2]), row=st.integers(0, 19), column=st.integers(0, 19), anchor=st.integers(0, 1))
def test_scrfd_maps_are_read_back(level: int, row: int, column: int, anchor: int) -> None:
    stride, cells = STRIDES[level], SIDE // STRIDES[level]
    sizes = (1, 4, 10)
    maps = [np.zeros((2 * (SIDE // stride) ** 2, size), np.float32) for size in sizes for stride in STRIDES]
    index = 2 * (row * cells + column) + anchor
    points = np.linspace(-1, 1, 10, dtype=np.float32)
    for kind, value in enumerate((np.float32(0.7), np.array([1, 2, 3, 4], np.float32), points)):
        maps[level + 3 * kind][index] = value
    boxes, scores, landmarks = decode_scrfd(maps, SIDE, 0.6, scale=2.0)
    np.testing.assert_allclose(boxes, [stride / 2 * np.array([column - 1, row - 2, 4, 6])])
    np.testing.assert_allclose(landmarks, [stride / 2 * (points.reshape(5, 2) + np.array([column, row]))], atol=1e-3)
    np.testing.assert_allclose(scores, [0.7])
