"""The PersonDirectory and its groups over HTTP: every change is an operation that can be asked about."""

import uuid

import httpx
import pytest

from tests.pipeline.api.house import OCTETS, House

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.broker,
    pytest.mark.milvus,
    pytest.mark.timeout(120),
]

AT = "http://face.test/face/v1.2-preview.1"
NOBODY = str(uuid.UUID(int=7))


async def followed(door: House, answer: httpx.Response) -> str:
    """Ask an accepted request's operation until it has succeeded; where what it made is."""
    assert answer.status_code == 202, answer.text
    place = answer.headers["Operation-Location"]
    assert place.startswith(f"{AT}/operations/")
    operation = (await door.http.get(place)).json()
    assert operation["status"] == "succeeded"
    assert operation["operationId"] == place.rpartition("/")[2]
    assert operation["createdTime"] <= operation["finishedTime"]
    return str(answer.headers.get("Location", "")).removeprefix(AT)


async def person(door: House, name: str) -> str:
    answer = await door.ask("POST", "/persons", json={"name": name})
    place = await followed(door, answer)
    assert place == f"/persons/{answer.json()['personId']}"
    return place


async def test_a_person_of_the_directory_comes_and_goes(door: House, pictures: dict[str, bytes]) -> None:
    place = await person(door, "Grace Hopper")
    found = place.rpartition("/")[2]
    shown = {"personId": found, "name": "Grace Hopper", "userData": None}
    assert await door.done("GET", place) == shown
    await door.done("PATCH", place, {"userData": "admiral"})
    assert {**shown, "userData": "admiral"} in await door.done("GET", "/persons")

    faces = f"{place}/recognitionModels/recognition_04/persistedfaces"
    added = await door.ask("POST", faces, params={"userData": "u"}, content=pictures["grace"], headers=OCTETS)
    face = added.json()["persistedFaceId"]
    assert await followed(door, added) == f"{faces}/{face}"
    assert await door.done("GET", faces) == {"personId": found, "persistedFaceIds": [face]}
    assert await door.done("GET", f"{faces}/{face}") == {"persistedFaceId": face, "userData": "u"}
    await door.done("PATCH", f"{faces}/{face}", {"userData": "v"})
    assert (await door.done("GET", f"{faces}/{face}"))["userData"] == "v"
    other = faces.replace("recognition_04", "recognition_03")
    assert await door.done("GET", other) == {"personId": found, "persistedFaceIds": []}
    assert await door.refused("GET", f"{other}/{face}") == (404, "PersistedFaceNotFound")
    assert await door.refused("GET", faces.replace("recognition_04", "recognition_09")) == (400, "BadArgument")

    await followed(door, await door.ask("DELETE", f"{faces}/{face}"))
    assert await door.refused("DELETE", f"{faces}/{face}") == (404, "PersistedFaceNotFound")
    await followed(door, await door.ask("DELETE", place))
    assert await door.refused("GET", place) == (404, "PersonNotFound")


async def test_a_dynamic_group_borrows_persons(door: House) -> None:
    one, two = [(await person(door, name)).rpartition("/")[2] for name in ("One", "Two")]
    plain = await door.ask("PUT", "/dynamicpersongroups/plain", json={"name": "n", "userData": "u"})
    assert plain.status_code == 200
    await followed(door, await door.ask("PUT", "/dynamicpersongroups/g", json={"name": "n", "addPersonIds": [one]}))
    assert await door.refused("PUT", "/dynamicpersongroups/g", {"name": "n"}) == (409, "DynamicPersonGroupExists")
    assert await door.done("GET", "/dynamicpersongroups/g/persons") == {"personIds": [one]}
    change = {"addPersonIds": [two], "removePersonIds": [one]}
    await followed(door, await door.ask("PATCH", "/dynamicpersongroups/g", json=change))
    assert await door.done("GET", "/dynamicpersongroups/g/persons") == {"personIds": [two]}
    renamed = await door.ask("PATCH", "/dynamicpersongroups/g", json={"name": "m"})
    assert renamed.status_code == 200
    assert await door.done("GET", "/dynamicpersongroups") == [
        {"dynamicPersonGroupId": "g", "name": "m", "userData": None},
        {"dynamicPersonGroupId": "plain", "name": "n", "userData": "u"},
    ]
    assert await door.done("GET", "/dynamicpersongroups", params={"start": "g", "top": "1"}) == [
        {"dynamicPersonGroupId": "plain", "name": "n", "userData": "u"}
    ]
    references = f"/persons/{two}/dynamicPersonGroupReferences"
    assert await door.done("GET", references) == {"dynamicPersonGroupIds": ["g"]}
    unknown = await door.refused("PATCH", "/dynamicpersongroups/g", {"addPersonIds": [NOBODY]})
    assert unknown == (404, "PersonNotFound")

    await followed(door, await door.ask("DELETE", "/dynamicpersongroups/g"))
    assert await door.refused("GET", "/dynamicpersongroups/g") == (404, "DynamicPersonGroupNotFound")
    assert (await door.done("GET", f"/persons/{two}"))["name"] == "Two"
    assert await door.done("GET", references) == {"dynamicPersonGroupIds": []}


async def test_an_unknown_operation_is_told(door: House) -> None:
    assert await door.refused("GET", f"/operations/{NOBODY}") == (404, "OperationNotFound")
