"""Persons of groups and enrolled faces over HTTP: added from photos, described, listed, forgotten."""

import uuid

import pytest

from tests.pipeline.api.house import OCTETS, House

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.broker,
    pytest.mark.milvus,
    pytest.mark.timeout(120),
]

GROUPS = {"persongroups": "PersonGroup", "largepersongroups": "LargePersonGroup"}
LISTS = {"facelists": "FaceList", "largefacelists": "LargeFaceList"}
NOBODY = str(uuid.UUID(int=7))


async def made(door: House, kind: str, own_id: str) -> str:
    place = f"/{kind}/{own_id}"
    await door.done("PUT", place, {"name": "n", "recognitionModel": "recognition_04"})
    return place


@pytest.mark.parametrize("kind", GROUPS)
async def test_a_person_comes_changes_and_goes(door: House, kind: str, pictures: dict[str, bytes]) -> None:
    place = await made(door, kind, "people")
    answer = await door.ask("POST", f"{place}/persons", json={"name": "Eileen Collins", "userData": "pilot"})
    assert answer.status_code == 200
    person = answer.json()["personId"]
    shown = {"personId": person, "name": "Eileen Collins", "userData": "pilot", "persistedFaceIds": []}
    one = f"{place}/persons/{person}"
    assert await door.done("GET", one) == shown

    faces = []
    for number, photo in enumerate(("eileen", "eileen again")):
        added = await door.sent(f"{one}/persistedfaces", pictures[photo], userData=f"photo {number}")
        faces.append(added["persistedFaceId"])
    assert (await door.done("GET", one))["persistedFaceIds"] == sorted(faces)
    assert await door.done("GET", f"{one}/persistedfaces/{faces[0]}") == {
        "persistedFaceId": faces[0],
        "userData": "photo 0",
    }
    await door.done("PATCH", f"{one}/persistedfaces/{faces[0]}", {"userData": "first"})
    assert (await door.done("GET", f"{one}/persistedfaces/{faces[0]}"))["userData"] == "first"
    too_much = {"userData": "x" * 1_025}
    assert await door.refused("PATCH", f"{one}/persistedfaces/{faces[0]}", too_much) == (400, "BadArgument")
    await door.done("DELETE", f"{one}/persistedfaces/{faces[0]}")
    assert await door.refused("GET", f"{one}/persistedfaces/{faces[0]}") == (404, "PersistedFaceNotFound")
    assert await door.refused("DELETE", f"{one}/persistedfaces/{faces[0]}") == (404, "PersistedFaceNotFound")

    await door.done("PATCH", one, {"name": "Colonel Collins"})
    assert await door.done("GET", f"{place}/persons") == [
        {**shown, "name": "Colonel Collins", "persistedFaceIds": [faces[1]]}
    ]
    deleted = await door.ask("DELETE", one)
    erasure = door.service.client.asker.known(deleted.headers["faceline-erasure"])
    assert erasure is not None
    assert erasure.erasure is not None
    assert (erasure.erasure.kind, erasure.erasure.subject) == ("person", one.rpartition("/")[2])
    for method, path in (("GET", one), ("DELETE", one), ("GET", f"{one}/persistedfaces/{faces[1]}")):
        assert await door.refused(method, path) == (404, "PersonNotFound")
    await door.done("DELETE", place)
    assert await door.refused("GET", f"{place}/persons") == (404, f"{GROUPS[kind]}NotFound")
    assert await door.refused("POST", f"{place}/persons", {"name": "x"}) == (404, f"{GROUPS[kind]}NotFound")


@pytest.mark.parametrize("kind", GROUPS)
async def test_persons_are_listed_page_by_page(door: House, kind: str) -> None:
    place = await made(door, kind, "paged")
    people = sorted([(await door.done("POST", f"{place}/persons", {"name": "n"}))["personId"] for _ in range(3)])

    async def page(**query: str) -> list[str]:
        return [each["personId"] for each in await door.done("GET", f"{place}/persons", params=query)]

    assert await page() == people
    assert await page(start=people[0]) == people[1:]
    assert await page(start=people[0], top="1") == people[1:2]


@pytest.mark.parametrize("kind", LISTS)
async def test_a_list_keeps_faces(door: House, kind: str, pictures: dict[str, bytes]) -> None:
    place = await made(door, kind, "faces")
    added = await door.sent(f"{place}/persistedfaces", pictures["grace"], userData="meta data")
    face = added["persistedFaceId"]
    expected = [{"persistedFaceId": face, "userData": "meta data"}]
    if kind == "facelists":
        assert (await door.done("GET", place))["persistedFaces"] == expected
    else:
        assert await door.done("GET", f"{place}/persistedfaces") == expected
        assert await door.done("GET", f"{place}/persistedfaces", params={"start": face}) == []
        await door.done("PATCH", f"{place}/persistedfaces/{face}", {"userData": "x"})
        assert await door.done("GET", f"{place}/persistedfaces/{face}") == {"persistedFaceId": face, "userData": "x"}
    await door.done("DELETE", f"{place}/persistedfaces/{face}")
    assert await door.refused("DELETE", f"{place}/persistedfaces/{face}") == (404, "PersistedFaceNotFound")
    missing = await door.ask("POST", f"/{kind}/none/persistedfaces", content=pictures["grace"], headers=OCTETS)
    assert missing.status_code == 404
    assert missing.json()["error"]["code"] == f"{LISTS[kind]}NotFound"


async def test_of_several_faces_the_target_is_taken(door: House, pictures: dict[str, bytes]) -> None:
    place = f"{await made(door, 'facelists', 'target')}/persistedfaces"

    async def answered(photo: bytes, **query: str) -> tuple[int, str, str]:
        answer = await door.ask("POST", place, params=query, content=photo, headers=OCTETS)
        error = answer.json().get("error", {"code": "", "message": ""})
        return answer.status_code, error["code"], error["message"]

    both = pictures["both"]
    assert await answered(both) == (400, "InvalidImage", "There is more than 1 face in the image.")
    large, small = [each["faceRectangle"] for each in await door.sent("/detect", both, returnFaceId="false")]
    for box in (large, small):
        target = ",".join(str(box[side]) for side in ("left", "top", "width", "height"))
        assert (await answered(both, targetFace=target))[0] == 200
    assert (await answered(both, targetFace="0,0,10,10"))[:2] == (400, "InvalidImage")
    for target in ("1,2,3", "a,b,c,d", "1,2,3,-4", "1,2,3,4,5"):
        assert (await answered(both, targetFace=target))[:2] == (400, "BadArgument")


async def test_nobody_is_added_to_nobody(door: House, pictures: dict[str, bytes]) -> None:
    place = await made(door, "persongroups", "nobody")
    path = f"{place}/persons/{NOBODY}/persistedfaces"
    answer = await door.ask("POST", path, content=pictures["grace"], headers=OCTETS)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "PersonNotFound")
    for wrong in ("not-a-uuid", "00000000"):
        assert await door.refused("GET", f"{place}/persons/{wrong}") == (400, "BadArgument")
