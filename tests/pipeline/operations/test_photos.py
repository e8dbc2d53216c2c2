"""Photos: the face that is meant is chosen, and every refusal names the photo and the cure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.operations import Refused
from pipeline.operations.photos import Choice, Finding, Portrait, UnreadablePhoto, decoded, portrait, target
from pipeline.records import Box, Recognition

SMALL, LARGE = Box(10, 10, 60, 70), Box(200, 40, 120, 140)


TOLD = Recognition("told")
IMAGE = np.zeros((300, 400, 3), np.uint8)


@dataclass
class ToldFaces:
    """Models that find what a test says."""

    boxes: Sequence[Box] = ()
    readable: bool = True
    recognition: Recognition = TOLD
    minimum_face: int = 50

    def decode(self, content: bytes) -> NDArray[np.uint8]:
        if not self.readable:
            raise UnreadablePhoto("no image: send JPEG")
        return np.zeros((300, 400, 3), np.uint8)

    def find(self, image: NDArray[np.uint8]) -> Sequence[Finding]:
        return [Finding(box, np.zeros((5, 2), np.float32), 0.9) for box in self.boxes]

    def portray(self, image: NDArray[np.uint8], face: Finding) -> Portrait:
        return Portrait(face.box, 0.5, np.ones(4, np.float32))


def chosen(models: ToldFaces, choice: Choice | None = None) -> Box:
    return portrait("ada.jpg", b"bytes", models, choice or Choice()).box


def test_the_only_face_needs_no_choice() -> None:
    assert chosen(ToldFaces([LARGE])) == LARGE


def test_several_faces_are_refused_with_where_they_are() -> None:
    with pytest.raises(Refused, match=r"^ada.jpg: 2 faces; .*--largest.*--face.*10,10,60,70 or 200,40,120,140$"):
        chosen(ToldFaces([LARGE, SMALL]))


def test_largest_is_chosen_when_asked() -> None:
    assert chosen(ToldFaces([SMALL, LARGE]), Choice(largest=True)) == LARGE


def test_rectangle_chooses_the_face_that_it_covers() -> None:
    assert chosen(ToldFaces([SMALL, LARGE]), Choice(face=Box(5, 5, 70, 80))) == SMALL


def test_rectangle_beside_every_face_is_refused() -> None:
    with pytest.raises(Refused, match=r"^ada.jpg: no face at 300,200,50,50; there is one at 10,10,60,70"):
        chosen(ToldFaces([SMALL, LARGE]), Choice(face=Box(300, 200, 50, 50)))


def test_no_face_is_refused() -> None:
    with pytest.raises(Refused, match=r"^ada.jpg: no face found"):
        chosen(ToldFaces())


def test_too_small_a_face_is_refused_with_both_sizes() -> None:
    with pytest.raises(Refused, match=r"^ada.jpg: the face is 40 x 90 pixels, told needs 50"):
        chosen(ToldFaces([Box(0, 0, 40, 90)]))


def test_no_image_is_refused() -> None:
    with pytest.raises(Refused, match=r"^ada.jpg: no image: send JPEG$"):
        chosen(ToldFaces(readable=False))


# --- as a request of the Face API means it ---------------------------------------------------------------------------


def refusal_of(boxes: Sequence[Box], where: Box | None = None) -> str:
    with pytest.raises(Refused) as refusal:
        target(IMAGE, ToldFaces(boxes), where)
    assert refusal.value.code == "InvalidImage"
    return str(refusal.value)


def test_the_target_is_the_only_face_or_the_one_that_the_rectangle_covers() -> None:
    assert target(IMAGE, ToldFaces([LARGE]), None).box == LARGE
    assert target(IMAGE, ToldFaces([SMALL, LARGE]), Box(5, 5, 70, 80)).box == SMALL


def test_no_target_and_too_many_are_refused_in_the_words_of_the_face_api() -> None:
    assert refusal_of([]) == "No face detected in the image."
    assert refusal_of([SMALL, LARGE]) == "There is more than 1 face in the image."
    assert refusal_of([SMALL, LARGE], Box(300, 200, 50, 50)) == "No face detected in the image."
    assert refusal_of([Box(0, 0, 40, 90)]) == "the face is 40 x 90 pixels, told needs 50"


def test_bytes_that_are_no_image_are_an_invalid_image() -> None:
    assert decoded(b"bytes", ToldFaces()).shape == IMAGE.shape
    with pytest.raises(Refused, match="no image: send JPEG") as refusal:
        decoded(b"bytes", ToldFaces(readable=False))
    assert refusal.value.code == "InvalidImage"


lengths = st.integers(min_value=50, max_value=300)
boxes = st.builds(Box, st.integers(0, 400), st.integers(0, 400), lengths, lengths)


@given(st.lists(boxes, min_size=1, max_size=6))
def test_a_rectangle_of_a_face_always_finds_a_face_just_there(found: list[Box]) -> None:
    for box in found:
        assert chosen(ToldFaces(found), Choice(face=box)) == box
