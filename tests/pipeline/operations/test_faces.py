"""faceIds: fresh, sealed, found until their very end by whoever asks, and then as if they had never been."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from pipeline.changes import Put
from pipeline.codec import Received
from pipeline.lifetimes import face_end, face_key
from pipeline.operations import Refused
from pipeline.operations.faces import Measured
from pipeline.operations.photos import Finding
from pipeline.records import Box, Shot
from pipeline.topology import FACES, Deployment
from tests.pipeline.examples import WATCH, frame

from .conftest import NOW, World
from .laboratory import LANDMARKS, RETAIL, Lab, laboratory, likeness, portrait


@pytest.fixture
def lab(world: World) -> Lab:
    return laboratory(world)


async def refused(lab: Lab, face_id: str) -> str:
    with pytest.raises(Refused) as refusal:
        await lab.recogniser.faces.opened([face_id])
    return refusal.value.code


async def test_a_face_of_the_api_says_so_and_lies_in_its_own_partition(lab: Lab) -> None:
    face_id = await lab.face(likeness(1), seconds=600)
    ((topic, partition, _, face),) = lab.log.written
    assert (topic, partition) == ("faces", Deployment().scale.of_face(face_id))
    assert (face.face_id, face.shot, face.recognition) == (face_id, None, RETAIL)
    assert (face.captured_at, face.expires) == (NOW, face_end(NOW, 600))
    assert face.landmarks == tuple(map(tuple, LANDMARKS.tolist()))


async def test_the_template_is_sealed_with_the_key_of_its_expiry_bucket(lab: Lab) -> None:
    vector = likeness(1)
    await lab.face(vector, seconds=61)
    ((_, _, value, face),) = lab.log.written
    assert value is not None
    assert vector.tobytes() not in value
    assert lab.keys.names == {face_key(face.expires).name: face.template.kid}


async def test_every_call_gives_a_fresh_id_to_the_same_face(lab: Lab) -> None:
    assert len({await lab.face(likeness(1)) for _ in range(3)}) == 3


async def test_it_opens_as_what_was_measured_also_where_the_view_has_not_seen_it_yet(lab: Lab) -> None:
    face_ids = [await lab.face(likeness(who)) for who in range(3)]
    assert len(lab.log.view) == 0
    opened = await lab.recogniser.faces.opened(face_ids[::-1])
    assert [each.face_id for each in opened] == face_ids[::-1]
    np.testing.assert_array_equal([each.vector for each in opened], [likeness(2), likeness(1), likeness(0)])


async def test_it_lives_to_its_last_second_and_then_never_was(lab: Lab) -> None:
    face_id = await lab.face(likeness(1), seconds=60)
    lab.later(57.999)
    assert await lab.recogniser.faces.opened([face_id])
    lab.later(0.001)
    assert await refused(lab, face_id) == "FaceNotFound"
    assert await refused(lab, "never-was") == "FaceNotFound"


async def test_a_process_whose_clock_is_behind_serves_no_face_for_longer_than_was_asked(lab: Lab) -> None:
    face_id = await lab.face(likeness(1), seconds=60)
    behind, faces = timedelta(seconds=1.999), lab.recogniser.faces
    slow = replace(faces, clock=lambda: faces.clock() - behind)
    lab.later(59.998)
    assert await slow.opened([face_id])
    lab.later(0.002)
    with pytest.raises(Refused, match="has expired"):
        await slow.opened([face_id])


async def test_a_face_whose_key_is_destroyed_never_was(lab: Lab) -> None:
    face_id = await lab.face(likeness(1))
    lab.keys.destroy(lab.keys.names.values())
    assert await refused(lab, face_id) == "FaceNotFound"


async def test_one_unknown_among_many_is_named(lab: Lab) -> None:
    face_id = await lab.face(likeness(1))
    with pytest.raises(Refused, match="there is no face unknown: "):
        await lab.recogniser.faces.found([face_id, "unknown"])


@pytest.mark.parametrize("seconds", [-1, 0, 59, 86_401])
async def test_a_life_out_of_range_is_refused_and_nothing_is_written(lab: Lab, seconds: int) -> None:
    with pytest.raises(Refused, match=rf"a faceIdTimeToLive of {seconds}: give 60 to 86400 seconds") as refusal:
        await lab.face(likeness(1), seconds=seconds)
    assert (refusal.value.code, lab.log.written, lab.keys.names) == ("BadArgument", [], {})


async def test_a_camera_s_face_is_found_like_any_other(lab: Lab) -> None:
    face_id = await lab.face(likeness(1))
    ((_, _, _, face),) = lab.log.written
    shot = Shot(frame=frame().id, track_id="t0", revision=0, watch=WATCH)
    passed = type(face)(**{name: getattr(face, name) for name in face.__struct_fields__} | {"shot": shot})
    lab.log.view.apply(Received(FACES, 0, 1, NOW, Put(face_id, passed)))
    (found,) = await lab.recogniser.faces.found([face_id])
    assert found.shot == shot


async def test_many_are_issued_at_once(lab: Lab) -> None:
    measured = [Measured(Finding(Box(0, 0, 90, 90), LANDMARKS, 0.9), portrait(likeness(who))) for who in range(100)]
    faces = lab.recogniser.faces
    face_ids = await asyncio.wait_for(faces.issue(measured, RETAIL, 60), 5)
    assert (len(set(face_ids)), await faces.issue([], RETAIL, 60)) == (100, [])
    assert len(await faces.opened(face_ids)) == 100
