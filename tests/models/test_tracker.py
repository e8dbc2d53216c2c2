"""A track follows one face: nearest box, never across a cut, never into another person."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from models.image import decode
from models.pack import FaceModels
from models.tracker import associate, embeddings_jump, intersection_over_union, scene_cut, thumbnail

number = st.floats(-1000, 1000, width=32)
extent = st.floats(0, 500, width=32)
boxes = st.lists(st.tuples(number, number, extent, extent), max_size=7).map(
    lambda rows: np.array(rows, np.float32).reshape(-1, 4)
)


@given(boxes, boxes, st.floats(0.05, 1))
def test_each_box_is_used_once_and_only_for_a_near_one(
    previous: NDArray[np.float32], current: NDArray[np.float32], minimum: float
) -> None:
    pairs = associate(previous, current, minimum)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    overlap = intersection_over_union(previous, current)
    assert all(overlap[i, j] >= minimum for i, j in pairs)
    free = [
        overlap[i, j]
        for i in set(range(len(previous))) - {i for i, _ in pairs}
        for j in set(range(len(current))) - {j for _, j in pairs}
    ]
    assert all(value < minimum for value in free), "two free boxes that belong together were left apart"


@given(boxes, boxes, st.floats(0.05, 1))
def test_no_other_pairs_have_a_larger_sum(
    previous: NDArray[np.float32], current: NDArray[np.float32], minimum: float
) -> None:
    overlap = intersection_over_union(previous, current)
    gain = np.where(overlap >= minimum, overlap, 0.0)
    best = gain[linear_sum_assignment(gain, maximize=True)].sum()
    found = sum(gain[i, j] for i, j in associate(previous, current, minimum))
    assert found == pytest.approx(best)


@given(boxes, boxes)
def test_intersection_over_union_is_symmetric_and_bounded(a: NDArray[np.float32], b: NDArray[np.float32]) -> None:
    overlap = intersection_over_union(a, b)
    assert ((overlap >= 0) & (overlap <= 1 + 1e-9)).all()
    np.testing.assert_allclose(overlap, intersection_over_union(b, a).T)


@given(st.permutations(range(5)))
def test_the_order_of_detections_does_not_matter(order: list[int]) -> None:
    previous = np.array([(200 * k, 50, 100, 120) for k in range(5)], np.float32)
    current = (previous + np.float32(9))[order]
    assert sorted(associate(previous, current)) == sorted((order[j], j) for j in range(5))


def test_known_overlap() -> None:
    found = intersection_over_union(np.array([[0, 0, 10, 10]]), np.array([[5, 0, 10, 10], [0, 0, 0, 0]]))
    np.testing.assert_allclose(found, [[1 / 3, 0]])


def test_a_hopeless_pair_does_not_push_a_good_one_aside() -> None:
    previous = np.array([[0, 0, 100, 100], [70, 0, 100, 100]], np.float32)
    current = np.array([[69, 0, 100, 100]], np.float32)
    assert associate(previous, current) == [(1, 0)]
    assert associate(previous, np.empty((0, 4), np.float32)) == []


def test_a_cut_is_seen_and_a_movement_is_none(astronaut: NDArray[np.uint8], hopper: NDArray[np.uint8]) -> None:
    before = thumbnail(astronaut)
    assert before.shape == (36, 64, 3)
    assert scene_cut(before, thumbnail(hopper))
    assert not scene_cut(before, before)
    panned = np.roll(astronaut, 4, axis=1)
    darker = (astronaut * 0.85).astype(np.uint8)
    assert not scene_cut(before, thumbnail(panned))
    assert not scene_cut(before, thumbnail(darker))


@pytest.mark.parametrize("name", ["dlib", "retail"])
def test_another_person_is_a_jump_and_a_poor_frame_is_none(
    name: str, shared: Path, request: pytest.FixtureRequest
) -> None:
    models: FaceModels = request.getfixturevalue(name)

    def template(image: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = models.embed(image, [landmarks])[0]
        return found

    photos = [
        decode((shared / "media/people" / photo).read_bytes()) for photo in ("img1.jpg", "img20.jpg", "img24.jpg")
    ]
    faces = [models.detect(photo)[0].landmarks for photo in photos]
    first, *strangers = (template(photo, face) for photo, face in zip(photos, faces, strict=True))
    assert all(embeddings_jump(first, stranger, models.metric) for stranger in strangers)
    blur = 0.04 * float(np.linalg.norm(faces[0][1] - faces[0][0]))
    poor = np.asarray(cv2.GaussianBlur((photos[0] * 0.6).astype(np.uint8), (0, 0), blur), np.uint8)
    assert not embeddings_jump(first, template(poor, faces[0] + np.float32(blur)), models.metric)
