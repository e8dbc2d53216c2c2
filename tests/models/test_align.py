"""Alignment finds the turn, scale and shift that a face was moved by."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.align import ARCFACE, TEMPLATES, Template, align, similarity_transform, transform


@given(
    st.sampled_from(sorted(TEMPLATES)),
    st.floats(-3.1, 3.1),
    st.floats(0.05, 20),
    st.floats(-500, 500),
    st.floats(-500, 500),
)
def test_a_known_motion_is_found(name: str, angle: float, scale: float, x: float, y: float) -> None:
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    motion = np.array([[cos, -sin, x], [sin, cos, y]])
    points = TEMPLATES[name].points
    np.testing.assert_allclose(similarity_transform(points, transform(motion, points)), motion, atol=1e-6)


@given(st.lists(st.floats(-50, 50), min_size=10, max_size=10))
def test_no_other_motion_fits_better(noise: list[float]) -> None:
    moved = ARCFACE.points + np.array(noise).reshape(5, 2)
    found = similarity_transform(ARCFACE.points, moved)

    def error(matrix: NDArray[np.float64]) -> float:
        return float(((transform(matrix, ARCFACE.points) - moved) ** 2).sum())

    turn = np.array([[-found[1, 0], -found[0, 0], 0], [found[0, 0], -found[1, 0], 0]])
    for nudge in (np.array([[0, 0, 1], [0, 0, 0]]), turn, np.array([[1, 0, 0], [0, 1, 0]])):
        assert error(found) <= min(error(found + 1e-3 * nudge), error(found - 1e-3 * nudge)) + 1e-6


def test_landmarks_on_one_point_are_refused() -> None:
    with pytest.raises(ValueError, match="one point"):
        similarity_transform(np.ones((5, 2)), ARCFACE.points)


@pytest.mark.parametrize("name", sorted(TEMPLATES))
@pytest.mark.parametrize("scale", [0.7, 1.0, 2.6, 7.3])
def test_marks_come_to_lie_on_the_template(name: str, scale: float) -> None:
    """Also for faces so large that they are averaged down first, and whatever lies around them."""
    template: Template = TEMPLATES[name]
    landmarks = template.points * scale + (300, 200)
    image = np.zeros((1800, 1900, 3), np.uint8)
    for x, y in landmarks:
        cv2.circle(image, (round(x * 16), round(y * 16)), round(4 * scale * 16), (255, 255, 255), -1, cv2.LINE_AA, 4)
    chip = align(image, landmarks.astype(np.float32), template)
    assert chip.shape == (template.size, template.size, 3)
    bright = (chip[:, :, 0] > 127).astype(np.uint8)
    centres = cv2.connectedComponentsWithStats(bright)[3][1:]
    nearest = np.linalg.norm(centres[None] - template.points[:, None], axis=2).min(axis=1)
    assert nearest.max() < 0.5


def test_beyond_the_image_is_black() -> None:
    image = np.full((60, 60, 3), 255, np.uint8)
    chip = align(image, (ARCFACE.points * 4 - 150).astype(np.float32), ARCFACE)
    assert chip.min() == 0
    assert chip.max() == 255
    assert not align(image, (ARCFACE.points * 4 + 5000).astype(np.float32), ARCFACE).any()
