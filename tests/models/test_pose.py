"""The head's pose: exact for the mean face, and with the Face service's signs for real ones."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from models.align import ARCFACE, OPEN_MODEL_ZOO
from models.pack import FaceModels
from models.pose import CENTRED, DISTANCE, HeadPose, head_pose

MIRRORED = [1, 0, 2, 4, 3]  # a mirror makes the left eye the right one
Points = NDArray[np.float32]


def seen(turn: Rotation) -> Points:
    """Where a camera, 20 times the face's extent away, sees the mean face's landmarks after a turn in its axes."""
    turned = turn.apply(CENTRED) + np.array((0, 0, DISTANCE * 10))
    return np.asarray(turned[:, :2] / turned[:, 2:] * 4000 + 500, np.float32)


def turned(pitch: float, roll: float, yaw: float) -> Points:
    """The mean face in this pose; OpenCV's x and y point the other way than the service's."""
    rotation = Rotation.from_euler("ZYX", (roll, yaw, pitch), degrees=True).as_rotvec()
    return seen(Rotation.from_rotvec(rotation * (-1, -1, 1)))


def angles(pose: HeadPose) -> tuple[float, float, float]:
    return pose.pitch, pose.roll, pose.yaw


@given(st.floats(-35, 35), st.floats(-170, 170), st.floats(-50, 50))
def test_the_mean_faces_pose_is_found(pitch: float, roll: float, yaw: float) -> None:
    assert angles(head_pose(turned(pitch, roll, yaw))) == pytest.approx((pitch, roll, yaw), abs=3)


@pytest.mark.parametrize(
    ("axis", "degrees", "pose"),
    [
        ("y", -30, (0, 0, 30)),  # the nose goes to the image's right
        ("y", 30, (0, 0, -30)),
        ("x", -20, (20, 0, 0)),  # the nose goes up
        ("x", 20, (-20, 0, 0)),
        ("z", 25, (0, 25, 0)),  # the crown goes to the image's right: clockwise
        ("z", -25, (0, -25, 0)),
    ],
)
def test_the_signs_are_the_face_services(axis: str, degrees: float, pose: tuple[float, float, float]) -> None:
    landmarks = seen(Rotation.from_euler(axis, degrees, degrees=True))
    nose, eyes = landmarks[2], landmarks[:2].mean(axis=0)
    if pose[2]:
        assert (nose[0] > eyes[0]) == (pose[2] > 0)
    if pose[1]:
        assert (landmarks[1, 1] > landmarks[0, 1]) == (pose[1] > 0), "clockwise lowers the eye at the right"
    if pose[0]:
        level = seen(Rotation.identity())
        assert (nose[1] - eyes[1] < level[2, 1] - level[:2, 1].mean()) == (pose[0] > 0)
    assert angles(head_pose(landmarks)) == pytest.approx(pose, abs=3)


@pytest.mark.parametrize("template", [ARCFACE, OPEN_MODEL_ZOO], ids=["arcface", "omz"])
def test_the_mean_landmarks_of_recognisers_look_ahead(template: object) -> None:
    points = template.points.astype(np.float32)  # type: ignore[attr-defined]
    assert angles(head_pose(points)) == pytest.approx((0, 0, 0), abs=8)


@pytest.fixture(scope="module")
def landmarks(retail: FaceModels, hopper: NDArray[np.uint8]) -> Points:
    (found,) = retail.detect(hopper)
    return found.landmarks


def test_a_portrait_looks_ahead(landmarks: Points) -> None:
    pose = head_pose(landmarks)
    assert abs(pose.roll) < 10
    assert abs(pose.yaw) < 15
    assert abs(pose.pitch) < 20


def test_a_mirror_turns_yaw_and_roll_round(landmarks: Points) -> None:
    pose, mirrored = head_pose(landmarks), head_pose((landmarks * np.array((-1, 1), np.float32))[MIRRORED])
    assert angles(mirrored) == pytest.approx((pose.pitch, -pose.roll, -pose.yaw), abs=0.01)


def test_a_mirrored_and_a_rotated_photo_are_found_so(retail: FaceModels, hopper: NDArray[np.uint8]) -> None:
    pose = head_pose(retail.detect(hopper)[0].landmarks)
    flipped = head_pose(retail.detect(np.ascontiguousarray(hopper[:, ::-1]))[0].landmarks)
    assert (flipped.roll, flipped.yaw) == pytest.approx((-pose.roll, -pose.yaw), abs=6)
    height, width = hopper.shape[:2]
    for degrees in (-15, 15):  # OpenCV turns anticlockwise
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 1)
        photo = np.asarray(cv2.warpAffine(hopper, matrix, (width, height)), np.uint8)
        # YuNet's landmarks turn by 10 to 25 degrees then
        assert head_pose(retail.detect(photo)[0].landmarks).roll == pytest.approx(pose.roll + degrees, abs=12)


@given(st.floats(-180, 180), st.floats(0.05, 20), st.floats(-1000, 1000))
def test_turning_the_image_adds_to_roll_alone(degrees: float, scale: float, shift: float) -> None:
    points = turned(-10, 5, 20).astype(np.float64)
    spin = Rotation.from_euler("z", degrees, degrees=True).as_matrix()[:2, :2]
    before, after = (
        head_pose(points.astype(np.float32)),
        head_pose((points @ spin.T * scale + shift).astype(np.float32)),
    )
    assert (after.pitch, after.yaw) == pytest.approx((before.pitch, before.yaw), abs=0.5)
    assert (after.roll - before.roll - degrees + 180) % 360 == pytest.approx(180, abs=0.5)


coordinates = st.floats(-5000, 5000, width=32)


@given(st.lists(st.tuples(coordinates, coordinates), min_size=5, max_size=5))
def test_whatever_a_detector_says_the_angles_are_angles(rows: list[tuple[float, float]]) -> None:
    points = np.array(rows, np.float32)
    if (points == points[0]).all():
        return
    assert all(-180 <= angle <= 180 for angle in angles(head_pose(points)))


def test_landmarks_on_one_point_have_no_pose() -> None:
    with pytest.raises(ValueError, match="all lie on one point"):
        head_pose(np.full((5, 2), 7, np.float32))
