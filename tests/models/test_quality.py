"""The best shot is the sharp, well lit, frontal, large one."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.detection import Detection
from models.pack import FaceModels
from models.quality import quality, yaw_proxy


@pytest.fixture(scope="session")
def face(dlib: FaceModels, hopper: NDArray[np.uint8]) -> Detection:
    (found,) = dlib.detect(hopper)
    return found


def test_worse_images_score_lower(hopper: NDArray[np.uint8], face: Detection) -> None:
    good = quality(hopper, face)
    assert 0.5 < good.score <= 1
    assert good.yaw < 0.15
    blurred = quality(np.asarray(cv2.GaussianBlur(hopper, (0, 0), 6), np.uint8), face)
    assert blurred.sharpness < good.sharpness / 5
    dark = quality((hopper // 5).astype(np.uint8), face)
    assert dark.brightness < 40
    glaring = quality(np.clip(hopper.astype(int) + 150, 0, 255).astype(np.uint8), face)
    assert max(blurred.score, dark.score, glaring.score) < good.score / 1.5


def test_a_smaller_face_scores_lower(hopper: NDArray[np.uint8], face: Detection) -> None:
    small = np.asarray(cv2.resize(hopper, None, fx=0.2, fy=0.2, interpolation=cv2.INTER_AREA), np.uint8)
    left, top, width, height = (value * 0.2 for value in face.box)
    found = quality(small, Detection((left, top, width, height), face.score, face.landmarks * np.float32(0.2)))
    assert found.size == pytest.approx(min(face.box[2:]) * 0.2)
    assert found.score < quality(hopper, face).score


@pytest.mark.parametrize(("nose", "yaw"), [((20, 30), 0.0), ((30, 30), 0.25), ((2, 30), 0.45)])
def test_yaw_is_the_noses_offset(nose: tuple[int, int], yaw: float) -> None:
    landmarks = np.array([(0, 10), (40, 10), nose, (5, 50), (35, 50)], np.float32)
    turn = np.array([[0.8, -0.6], [0.6, 0.8]], np.float32)
    assert yaw_proxy(landmarks) == pytest.approx(yaw)
    assert yaw_proxy(landmarks @ turn.T) == pytest.approx(yaw, abs=1e-5), "a tilted head has not turned"


def test_eyes_on_one_point_are_the_worst_pose() -> None:
    assert yaw_proxy(np.zeros((5, 2), np.float32)) == 1.0
