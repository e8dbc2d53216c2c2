"""Detect: the largest first, only what was asked for, and nothing kept where no faceId was wanted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.operations import Refused
from pipeline.operations.detection import Detected, Wanted, detect
from pipeline.operations.photos import Finding, Portrait
from pipeline.records import Box, Recognition

from .conftest import World
from .laboratory import LANDMARKS, RETAIL, Lab, laboratory, likeness
from .test_photos import ToldFaces

IMAGE = np.zeros((300, 400, 3), np.uint8)
SMALL, LARGE = Box(10, 10, 60, 70), Box(200, 40, 120, 140)


@dataclass
class Observed(ToldFaces):
    """Models that find and describe what a test says, and keep what they were asked."""

    recognition: Recognition = RETAIL
    portrayed: list[Box] = field(default_factory=list)

    def find(self, image: NDArray[np.uint8]) -> Sequence[Finding]:
        return [Finding(box, LANDMARKS + box.left, 0.9) for box in self.boxes]

    def portray(self, image: NDArray[np.uint8], face: Finding) -> Portrait:
        self.portrayed.append(face.box)
        return Portrait(face.box, 0.5, likeness(face.box.left))

    def attributes(self, image: NDArray[np.uint8], face: Finding, wanted: frozenset[str]) -> Mapping[str, Any]:
        return {name: {"value": face.box.left} for name in wanted}


@pytest.fixture
def lab(world: World) -> Lab:
    return laboratory(world)


async def detected(lab: Lab, models: Observed, wanted: Wanted | None = None) -> list[Detected]:
    return await detect(lab.recogniser.faces, models, IMAGE, wanted or Wanted())


async def test_the_largest_comes_first_with_a_face_id_of_its_own(lab: Lab) -> None:
    found = await detected(lab, Observed([SMALL, LARGE]))
    assert [each.box for each in found] == [LARGE, SMALL]
    opened = await lab.recogniser.faces.opened([each.face_id or "" for each in found])
    np.testing.assert_array_equal([each.vector for each in opened], [likeness(LARGE.left), likeness(SMALL.left)])


async def test_only_what_is_wanted_is_told(lab: Lab) -> None:
    (plain,) = await detected(lab, Observed([LARGE]))
    assert (plain.landmarks, plain.attributes) == (None, {})
    (full,) = await detected(lab, Observed([LARGE]), Wanted(landmarks=True, attributes=frozenset({"blur"})))
    assert full.attributes == {"blur": {"value": 200}}
    assert full.landmarks is not None
    assert list(full.landmarks) == ["pupilLeft", "pupilRight", "noseTip", "mouthLeft", "mouthRight"]
    assert full.landmarks["pupilRight"] == (270.0, 250.0)


async def test_landmarks_that_the_detector_did_not_see_are_not_told(lab: Lab) -> None:
    class TwoEyes(Observed):
        def find(self, image: NDArray[np.uint8]) -> Sequence[Finding]:
            return [Finding(box, LANDMARKS, 0.9, ("pupilLeft", "pupilRight")) for box in self.boxes]

    (found,) = await detected(lab, TwoEyes([LARGE]), Wanted(landmarks=True))
    assert found.landmarks == {"pupilLeft": (30.0, 50.0), "pupilRight": (70.0, 50.0)}


async def test_without_a_face_id_no_template_is_made_and_nothing_is_written(lab: Lab) -> None:
    models = Observed([LARGE, SMALL])
    found = await detected(lab, models, Wanted(face_id=False, landmarks=True))
    assert [each.face_id for each in found] == [None, None]
    assert (models.portrayed, lab.log.written, lab.keys.alive) == ([], [], {})


async def test_the_life_that_is_wanted_is_the_life_it_gets_but_for_what_clocks_may_be_apart(lab: Lab) -> None:
    (found,) = await detected(lab, Observed([LARGE]), Wanted(time_to_live=60))
    lab.later(57)
    assert await lab.recogniser.faces.found([found.face_id or ""])
    lab.later(1)
    with pytest.raises(Refused):
        await lab.recogniser.faces.found([found.face_id or ""])


@pytest.mark.parametrize("wanted", [Wanted(time_to_live=59), Wanted(face_id=False, time_to_live=86_401)])
async def test_a_life_out_of_range_is_refused_whatever_else_is_wanted(lab: Lab, wanted: Wanted) -> None:
    with pytest.raises(Refused, match="faceIdTimeToLive"):
        await detected(lab, Observed([LARGE]), wanted)


async def test_no_face_is_an_empty_answer(lab: Lab) -> None:
    assert await detected(lab, Observed()) == []
    assert lab.log.written == []


async def test_what_is_too_small_to_be_recognised_is_left_out_and_a_hundred_are_the_most(lab: Lab) -> None:
    assert await detected(lab, Observed([Box(0, 0, 49, 90)])) == []
    crowd = [Box(n, 0, 50 + n, 60) for n in range(130)]
    found = await detected(lab, Observed(crowd), Wanted(face_id=False))
    assert [each.box for each in found] == crowd[:29:-1]
