"""Several servers of one deployment, and a deployment that is half away: answers stay one answer."""

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from connectors.broker import EmbeddedBroker
from pipeline.stages.control import faces as enrolled_faces
from tests.pipeline.api.house import OCTETS, House, house, replica, running

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


async def at_both(door: House, other: House, method: str, path: str, **given: Any) -> list[httpx.Response]:
    """The same request to both at once."""
    return list(await asyncio.gather(*(each.ask(method, path, **given) for each in (door, other))))


async def test_of_two_who_create_one_id_one_wins(door: House, other: House) -> None:
    for number in range(5):
        answers = await at_both(door, other, "PUT", f"/persongroups/race-{number}", json={"name": "n"})
        assert sorted(each.status_code for each in answers) == [200, 409]
        loser = next(each for each in answers if each.status_code == 409)
        assert loser.json()["error"]["code"] == "PersonGroupExists"


async def test_of_two_who_delete_one_id_one_finds_it_gone(door: House, other: House) -> None:
    for number in range(5):
        await door.done("PUT", f"/largefacelists/gone-{number}", {"name": "n"})
        answers = await at_both(door, other, "DELETE", f"/largefacelists/gone-{number}")
        assert sorted(each.status_code for each in answers) == [200, 404]


async def test_one_request_at_two_doors_at_once_is_one_person(door: House, other: House) -> None:
    await door.done("PUT", "/persongroups/at-once", {"name": "n"})
    for _ in range(5):
        headers = {"x-ms-client-request-id": str(uuid.uuid4())}
        path = "/persongroups/at-once/persons"
        answers = await at_both(door, other, "POST", path, json={"name": "n"}, headers=headers)
        assert [each.status_code for each in answers] == [200, 200]
        assert len({each.json()["personId"] for each in answers}) == 1
    assert len(await other.done("GET", "/persongroups/at-once/persons")) == 5


async def test_a_limit_is_not_overshot_by_many_at_once(
    door: House, other: House, pictures: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 248 faces, with a smaller number in their place: control, which counts them, runs in this process."""
    monkeypatch.setattr(enrolled_faces, "FACES_PER_PERSON", 3)
    await door.done("PUT", "/persongroups/full", {"name": "n"})
    person = (await door.done("POST", "/persongroups/full/persons", {"name": "n"}))["personId"]
    place = f"/persongroups/full/persons/{person}"
    sending = [
        each.ask("POST", f"{place}/persistedfaces", content=pictures["grace"], headers=OCTETS)
        for each in (door, other)
        for _ in range(3)
    ]
    statuses = Counter(answer.status_code for answer in await asyncio.gather(*sending))
    assert statuses == {200: 3, 403: 3}
    assert len((await other.done("GET", place))["persistedFaceIds"]) == 3


async def test_an_unanswered_request_is_carried_out_once_however_often_it_is_sent(
    broker: EmbeddedBroker, milvus: str, tmp_path: Path
) -> None:
    async with house(broker.bootstrap, milvus, tmp_path, stages=(), api={"patience": 2}) as lonely:
        headers = {"x-ms-client-request-id": str(uuid.uuid4())}

        async def sent() -> int:
            answer = await lonely.ask("PUT", "/facelists/late", json={"name": "n"}, headers=headers)
            return answer.status_code

        async def answered() -> int:
            while (status := await sent()) == 503:
                pass
            return status

        assert [await sent(), await sent()] == [503, 503]
        async with running("control", lonely.parts, lonely.access, lonely.home, lonely.clock):
            assert await lonely.done("GET", "/facelists") is not None
            assert [await answered(), await answered()] == [200, 200]
            assert len(await lonely.done("GET", "/facelists")) == 1
            assert await lonely.refused("PUT", "/facelists/late", {"name": "n"}) == (409, "FaceListExists")
