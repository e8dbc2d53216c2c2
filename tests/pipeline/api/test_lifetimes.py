"""Time over HTTP, by a clock that the test moves: faces end, operations are forgotten, what is enrolled stays."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from connectors.broker import EmbeddedBroker
from tests.pipeline.api.house import House, house

pytestmark = [pytest.mark.broker, pytest.mark.milvus, pytest.mark.timeout(120)]

TEN_YEARS = 3_650 * 86_400


@pytest.fixture
async def aging(broker: EmbeddedBroker, milvus: str, tmp_path: Path) -> AsyncIterator[House]:
    """A deployment of its own: its clock moves."""
    async with house(broker.bootstrap, milvus, tmp_path) as running:
        yield running


async def test_a_face_lives_as_long_as_was_asked(aging: House, pictures: dict[str, bytes]) -> None:
    face = await aging.detected(pictures["grace"], faceIdTimeToLive="120")
    body = {"faceId1": face, "faceId2": face}
    aging.clock.advance(115)
    assert (await aging.done("POST", "/verify", body))["isIdentical"]
    aging.clock.advance(10)
    assert await aging.refused("POST", "/verify", body) == (404, "FaceNotFound")
    similar = {"faceId": face, "faceIds": [face]}
    assert await aging.refused("POST", "/findsimilars", similar) == (400, "FaceNotFound")
    other = await aging.detected(pictures["grace"])
    assert await aging.refused("POST", "/group", {"faceIds": [face, other]}) == (400, "FaceNotFound")


async def test_the_enrolled_stay_and_operations_are_forgotten(aging: House, pictures: dict[str, bytes]) -> None:
    made = await aging.ask("POST", "/persons", json={"name": "Grace"})
    person, operation = made.json()["personId"], made.headers["Operation-Location"]
    place = f"/persons/{person}/recognitionModels/recognition_04/persistedfaces"
    await aging.sent(place, pictures["grace"])
    aging.clock.advance(47 * 3_600)
    assert (await aging.http.get(operation)).status_code == 200
    aging.clock.advance(2 * 3_600)
    assert (await aging.http.get(operation)).json()["error"]["code"] == "OperationNotFound"
    aging.clock.advance(TEN_YEARS)
    face = await aging.detected(pictures["grace again"])
    (found,) = await aging.done("POST", "/identify", {"faceIds": [face], "personIds": [person]})
    assert [each["personId"] for each in found["candidates"]] == [person]
