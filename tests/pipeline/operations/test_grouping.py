"""Group: who belongs together among strangers; every face is told of once, and nothing is kept."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.operations import Refused, grouping
from pipeline.operations.faces import OpenedFace
from pipeline.operations.grouping import Grouped
from pipeline.wiring.comparison import PackComparison

from .conftest import World
from .laboratory import CATALOGUE, DLIB, RETAIL, Lab, laboratory, likeness

COMPARISON = PackComparison.of(CATALOGUE, {})


@pytest.fixture
def lab(world: World) -> Lab:
    return laboratory(world)


async def test_the_largest_group_comes_first_and_who_resembles_nobody_is_messy(lab: Lab) -> None:
    wanted = {1: 2, 2: 4, 3: 1, 4: 3, 5: 1}
    whose = {await lab.face(likeness(who, 1 + view)): who for who, views in wanted.items() for view in range(views)}
    asked = list(whose)
    np.random.default_rng(3).shuffle(asked)
    before = len(lab.log.written)
    grouped = await grouping.group(lab.recogniser, asked)
    assert [{whose[each] for each in group} for group in grouped.groups] == [{2}, {4}, {1}]
    assert [len(group) for group in grouped.groups] == [4, 3, 2]
    assert {whose[each] for each in grouped.messy} == {3, 5}
    assert (len(lab.log.written), lab.world.control.sent) == (before, [])


@pytest.mark.parametrize("count", [0, 1, 1001])
async def test_two_to_a_thousand_faces_are_taken(lab: Lab, count: int) -> None:
    with pytest.raises(Refused, match=f"{count} faceIds to group: give 2 to 1000"):
        await grouping.group(lab.recogniser, [str(number) for number in range(count)])


async def test_a_thousand_are_grouped_at_once(lab: Lab) -> None:
    asked = [await lab.face(likeness(number % 40, 1 + number)) for number in range(1000)]
    grouped = await grouping.group(lab.recogniser, asked)
    assert ([len(group) for group in grouped.groups], grouped.messy) == ([25] * 40, ())


async def test_refusals(lab: Lab) -> None:
    one = await lab.face(likeness(1))
    for asked, code in (([one, one], "BadArgument"), ([one, "gone"], "FaceNotFound")):
        with pytest.raises(Refused) as refusal:
            await grouping.group(lab.recogniser, asked)
        assert refusal.value.code == code
    strange = await lab.face(likeness(1, 0, DLIB), DLIB)
    with pytest.raises(Refused, match="recognitionModel"):
        await grouping.group(lab.recogniser, [one, strange])


def grouped(vectors: list[np.ndarray[tuple[int], np.dtype[np.float32]]], pack: str) -> Grouped:
    recognition = RETAIL if pack == "retail" else DLIB
    return grouping.grouped([OpenedFace(str(n), recognition, each) for n, each in enumerate(vectors)], COMPARISON)


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(1, 6)), min_size=2, max_size=14),
    st.sampled_from(["retail", "dlib"]),
)
def test_every_face_is_told_of_once_and_those_of_one_photo_together(faces: list[tuple[int, int]], pack: str) -> None:
    recognition = RETAIL if pack == "retail" else DLIB
    found = grouped([likeness(who, view, recognition) for who, view in faces], pack)
    told = [each for group in found.groups for each in group]
    assert sorted([*told, *found.messy], key=int) == [str(n) for n in range(len(faces))]
    assert sorted(map(len, found.groups), reverse=True) == [len(group) for group in found.groups]
    assert all(len(group) > 1 for group in found.groups)
    for group in found.groups:
        for n, each in enumerate(faces):
            if any(faces[int(member)] == each for member in group):
                assert str(n) in group
