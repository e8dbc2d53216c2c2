"""Where the API and the cameras meet: a faceId is a faceId, but only what passed a camera is ever published."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from connectors import kafka
from connectors.broker import EmbeddedBroker
from connectors.keystore import wall_clock
from models.image import decode
from pipeline.changes import Put
from pipeline.codec import Received, encode, seal
from pipeline.lifetimes import frame_key
from pipeline.records import Frame, FrameId, Identification, Watch
from pipeline.topology import FRAMES, IDENTIFICATIONS
from pipeline.views import Follower
from tests.pipeline.api.house import House, house

pytestmark = [pytest.mark.broker, pytest.mark.milvus, pytest.mark.timeout(180)]

CAMERA = "door"


@pytest.fixture
async def open_house(broker: EmbeddedBroker, milvus: str, tmp_path: Path) -> AsyncIterator[House]:
    """A deployment with every stage."""
    stages = ("control", "expire", "enrol", "detect", "identify", "erase")
    async with house(broker.bootstrap, milvus, tmp_path, stages=stages) as running:
        yield running


async def seen(running: House, photo: bytes, count: int) -> None:
    """Put so many frames of a camera on their topic, each the same picture, as capture does."""
    deployment = running.settings.deployment()
    height, width = decode(photo).shape[:2]
    watch = Watch(collections=("largepersongroup/watched",), face_ttl=600)
    producer = kafka.producer(running.access)
    await producer.start()
    for number in range(count):
        now, frame = running.clock(), FrameId(CAMERA, "session", number)
        key = frame_key(CAMERA, now)
        kid = running.keys.named(key.name, key.expires)
        place = f"{CAMERA}/session/{number}"
        image = seal(running.keys, kid, photo, topic=FRAMES, key=place, field="image")
        made = Frame(
            id=frame, previous=number - 1, captured_at=now, width=width, height=height, image=image, watch=watch
        )
        wire = encode(FRAMES, Put(CAMERA, made))
        await producer.send_and_wait(
            deployment.name(FRAMES),
            wire.value,
            wire.key,
            partition=deployment.scale.of_camera(CAMERA),
            headers=list(wire.headers),
        )
        await asyncio.sleep(0.2)
    await producer.stop()


async def test_a_camera_and_the_api_share_faces_and_nothing_else(open_house: House, pictures: dict[str, bytes]) -> None:
    door = open_house
    await door.done("PUT", "/largepersongroups/watched", {"name": "n", "recognitionModel": "recognition_04"})
    person = (await door.done("POST", "/largepersongroups/watched/persons", {"name": "Grace"}))["personId"]
    await door.sent(f"/largepersongroups/watched/persons/{person}/persistedfaces", pictures["grace"])
    await door.trained("/largepersongroups/watched")
    told: list[Identification] = []

    def hear(received: Received) -> None:
        if isinstance(received.change, Put):
            told.append(received.change.value)

    deployment = door.settings.deployment()
    follower = Follower(kafka.consumer(door.access), deployment, (IDENTIFICATIONS,), hear, clock=wall_clock)
    await follower.start()
    following = asyncio.create_task(follower.run())
    through_the_door = await door.detected(pictures["grace again"])
    await seen(door, pictures["grace again"], 4)
    async with asyncio.timeout(60):
        while not told:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    # What the API was shown came first, and long ago: had it been identified, it would be there by now.
    await asyncio.sleep(1.0)
    following.cancel()
    with suppress(asyncio.CancelledError):
        await following
    await follower.stop()
    assert {each.camera for each in told} == {CAMERA}
    assert {each.person_id for each in told} == {person}
    passed = told[0].face_id
    assert passed != through_the_door
    assert (await door.done("POST", "/verify", {"faceId1": passed, "faceId2": through_the_door}))["isIdentical"]
    group = {"faceId": passed, "personId": person, "largePersonGroupId": "watched"}
    assert (await door.done("POST", "/verify", group))["isIdentical"]
    similar = await door.done("POST", "/findsimilars", {"faceId": through_the_door, "faceIds": [passed]})
    assert [each["faceId"] for each in similar] == [passed]
    door.clock.advance(timedelta(seconds=600).total_seconds())
    gone = await door.refused("POST", "/verify", {"faceId1": passed, "faceId2": through_the_door})
    assert gone == (404, "FaceNotFound")
