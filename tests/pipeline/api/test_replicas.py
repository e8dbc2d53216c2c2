"""Several servers of one deployment, and a deployment that is half away: answers stay one answer."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from connectors.broker import EmbeddedBroker
from tests.pipeline.api.house import House, house, replica, running

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.broker,
    pytest.mark.milvus,
    pytest.mark.timeout(120),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def other(door: House) -> AsyncIterator[House]:
    """A second server."""
    async with replica(door) as second:
        yield second


async def test_what_one_server_has_answered_every_other_knows(door: House, other: House) -> None:
    await door.done("PUT", "/persongroups/shared", {"name": "n"})
    for number in range(10):
        one, two = (door, other) if number % 2 else (other, door)
        person = (await one.done("POST", "/persongroups/shared/persons", {"name": "p"}))["personId"]
        place = f"/persongroups/shared/persons/{person}"
        assert (await two.done("GET", place))["name"] == "p"
        await two.done("DELETE", place)
        assert await one.refused("GET", place) == (404, "PersonNotFound")


async def test_a_face_of_one_server_is_verified_by_another(
    door: House, other: House, pictures: dict[str, bytes]
) -> None:
    for one, two in ((door, other), (other, door)):
        face = await one.detected(pictures["grace"])
        assert (await two.done("POST", "/verify", {"faceId1": face, "faceId2": face}))["isIdentical"]


async def test_a_retry_at_another_server_gets_the_first_answer(door: House, other: House) -> None:
    await door.done("PUT", "/persongroups/twice", {"name": "n"})
    headers = {"x-ms-client-request-id": str(uuid.uuid4())}
    answers = [
        await each.ask("POST", "/persongroups/twice/persons", json={"name": "p"}, headers=headers)
        for each in (door, other)
    ]
    assert answers[0].json() == answers[1].json()
    assert len(await other.done("GET", "/persongroups/twice/persons")) == 1


async def test_an_unanswered_request_is_carried_out_once_however_often_it_is_sent(
    broker: EmbeddedBroker, milvus: str, tmp_path: Path
) -> None:
    async with house(broker.bootstrap, milvus, tmp_path, stages=(), api={"patience": 1}) as lonely:
        headers = {"x-ms-client-request-id": str(uuid.uuid4())}

        async def sent() -> int:
            answer = await lonely.ask("PUT", "/facelists/late", json={"name": "n"}, headers=headers)
            return answer.status_code

        assert [await sent(), await sent()] == [503, 503]
        async with running("control", lonely.parts, lonely.access, lonely.home, lonely.clock):
            assert await lonely.done("GET", "/facelists") is not None
            status = await sent()
            while status == 503:
                status = await sent()
            assert [status, await sent()] == [200, 200]
            assert len(await lonely.done("GET", "/facelists")) == 1
            assert await lonely.refused("PUT", "/facelists/late", {"name": "n"}) == (409, "FaceListExists")
