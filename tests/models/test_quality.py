"""The best shot is the sharp, well lit, frontal, large one."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.detection import Detection
from models.pack import FaceModels
from models.quality import Quality, quality, yaw_proxy


@pytest.fixture(scope="session")
def face(dlib: FaceModels, hopper: NDArray[np.uint8]) -> Detection:
    (found,) = dlib.detect(hopper)
    return found


def test_worse_images_score_lower(hopper: NDArray[np.uint8], face: Detection) -> None:
    good = quality(hopper, face)
    assert 0.5 < good.score <= 1
    assert good.yaw < 0.15
    blurred = quality(np.asarray(cv2.GaussianBlur(hopper, (0, 0), 6), np.uint8), face)
    assert blurred.blur > good.blur + 0.5
    dark = quality((hopper // 5).astype(np.uint8), face)
    assert dark.exposure < 0.25
    glaring = quality(np.clip(hopper.astype(int) + 150, 0, 255).astype(np.uint8), face)
    assert max(blurred.score, dark.score, glaring.score) < good.score / 1.5
    assert (good.level, blurred.level) == ("high", "low")
    assert "high" not in (dark.level, glaring.level)


def test_a_smaller_face_scores_lower(hopper: NDArray[np.uint8], face: Detection) -> None:
    small = np.asarray(cv2.resize(hopper, None, fx=0.2, fy=0.2, interpolation=cv2.INTER_AREA), np.uint8)
    left, top, width, height = (value * 0.2 for value in face.box)
    found = quality(small, Detection((left, top, width, height), face.score, face.landmarks * np.float32(0.2)))
    assert found.size == pytest.approx(min(face.box[2:]) * 0.2)
    assert found.score < quality(hopper, face).score
    assert found.level == "low"


GOOD = Quality(blur=0.1, exposure=0.5, yaw=0.05, size=150.0, detection=0.9)


@pytest.mark.parametrize(
    ("worse", "level"),
    [
        ({}, "high"),
        ({"size": 111.0}, "medium"),
        ({"size": 36.0}, "medium"),
        ({"size": 35.0}, "low"),
        ({"blur": 0.26}, "medium"),
        ({"blur": 0.51}, "low"),
        ({"yaw": 0.3}, "medium"),
        ({"yaw": 0.46}, "low"),
        ({"exposure": 0.2}, "medium"),
        ({"exposure": 0.8}, "medium"),
        ({"exposure": 0.09}, "low"),
        ({"exposure": 0.96}, "low"),
        ({"exposure": 0.2, "size": 35.0}, "low"),
    ],
)
def test_the_level_is_as_good_as_the_worst(worse: dict[str, float], level: str) -> None:
    assert replace(GOOD, **worse).level == level


@pytest.mark.parametrize(("nose", "yaw"), [((20, 30), 0.0), ((30, 30), 0.25), ((2, 30), 0.45)])
def test_yaw_is_the_noses_offset(nose: tuple[int, int], yaw: float) -> None:
    landmarks = np.array([(0, 10), (40, 10), nose, (5, 50), (35, 50)], np.float32)
    turn = np.array([[0.8, -0.6], [0.6, 0.8]], np.float32)
    assert yaw_proxy(landmarks) == pytest.approx(yaw)
    assert yaw_proxy(landmarks @ turn.T) == pytest.approx(yaw, abs=1e-5), "a tilted head has not turned"


def test_eyes_on_one_point_are_the_worst_pose() -> None:
    assert yaw_proxy(np.zeros((5, 2), np.float32)) == 1.0
