"""Lists and groups over HTTP, on real stages: made, shown, listed page by page, changed, trained, forgotten."""

from typing import Any

import pytest

from tests.pipeline.api.house import House

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.broker,
    pytest.mark.milvus,
    pytest.mark.timeout(120),
]

KINDS = {
    "facelists": ("faceListId", "FaceList"),
    "largefacelists": ("largeFaceListId", "LargeFaceList"),
    "persongroups": ("personGroupId", "PersonGroup"),
    "largepersongroups": ("largePersonGroupId", "LargePersonGroup"),
}
TRAINED = ("largefacelists", "persongroups", "largepersongroups")
MODEL = {"returnRecognitionModel": "true"}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_collection_comes_changes_and_goes(door: House, kind: str) -> None:
    id_name, code = KINDS[kind]
    place = f"/{kind}/one_of-{kind}"
    body = {"name": "Staff", "userData": "x" * 16_384, "recognitionModel": "recognition_04"}
    created = await door.ask("PUT", place, json=body)
    assert (created.status_code, created.content) == (200, b"")
    assert await door.refused("PUT", place, body) == (409, f"{code}Exists")

    expected = {id_name: place.rpartition("/")[2], "name": "Staff", "userData": "x" * 16_384}
    if kind == "facelists":
        assert await door.done("GET", place) == {**expected, "persistedFaces": []}
    else:
        assert await door.done("GET", place) == expected
    assert (await door.done("GET", place, params=MODEL))["recognitionModel"] == "recognition_04"

    changed = await door.ask("PATCH", place, json={"userData": "less"})
    assert (changed.status_code, changed.content) == (200, b"")
    assert await door.done("GET", f"/{kind}") == [{**expected, "userData": "less"}]
    await door.done("PATCH", place, {"name": "Others"})
    assert (await door.done("GET", place))["name"] == "Others"
    assert await door.refused("PATCH", place, {}) == (400, "BadArgument")

    deleted = await door.ask("DELETE", place)
    assert (deleted.status_code, deleted.content) == (200, b"")
    for method, given in (("GET", None), ("DELETE", None), ("PATCH", {"name": "x"})):
        assert await door.refused(method, place, given) == (404, f"{code}NotFound")
    assert await door.done("GET", f"/{kind}") == []


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "facelists"])
async def test_collections_are_listed_page_by_page(door: House, kind: str) -> None:
    id_name, _ = KINDS[kind]
    for number in (3, 1, 2):
        await door.done("PUT", f"/{kind}/page-{number}", {"name": "n"})

    async def page(**query: Any) -> list[str]:
        listed = await door.done("GET", f"/{kind}", params=query)
        return [each[id_name] for each in listed if each[id_name].startswith("page-")]

    assert await page() == ["page-1", "page-2", "page-3"]
    assert await page(start="page-1") == ["page-2", "page-3"]
    assert await page(start="page-1", top=1) == ["page-2"]
    assert await page(start="page-3") == []
    for query in ({"top": "0"}, {"top": "1001"}, {"top": "x"}, {"start": "s" * 65}):
        assert await door.refused("GET", f"/{kind}", params=query) == (400, "BadArgument")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("own_id", "body"),
    [
        ("UPPER", {"name": "n"}),
        ("dot.ted", {"name": "n"}),
        ("a" * 65, {"name": "n"}),
        ("fine", {}),
        ("fine", {"name": ""}),
        ("fine", {"name": "   "}),
        ("fine", {"name": "n" * 129}),
        ("fine", {"name": "n", "userData": "u" * 16_385}),
        ("fine", {"name": "n", "recognitionModel": "recognition_05"}),
        ("fine", [1]),
    ],
)
async def test_what_the_contract_does_not_allow_is_a_bad_argument(
    door: House, kind: str, own_id: str, body: Any
) -> None:
    assert await door.refused("PUT", f"/{kind}/{own_id}", body) == (400, "BadArgument")


@pytest.mark.parametrize("kind", TRAINED)
async def test_a_training_is_accepted_and_ends(door: House, kind: str) -> None:
    _, code = KINDS[kind]
    place = f"/{kind}/trained"
    assert await door.refused("POST", f"{place}/train") == (404, f"{code}NotFound")
    assert await door.refused("GET", f"{place}/training") == (404, f"{code}NotFound")
    await door.done("PUT", place, {"name": "n"})
    assert await door.refused("GET", f"{place}/training") == (404, f"{code}NotTrained")
    accepted = await door.ask("POST", f"{place}/train")
    assert (accepted.status_code, accepted.content) == (202, b"")
    assert accepted.headers["Operation-Location"] == f"http://face.test/face/v1.2-preview.1{place}/training"
    assert accepted.headers["Retry-After"] == "1"
    await door.trained(place)
    status = await door.done("GET", f"{place}/training")
    assert set(status) == {
        "status",
        "createdDateTime",
        "lastActionDateTime",
        "lastSuccessfulTrainingDateTime",
        "message",
    }
    assert status["lastSuccessfulTrainingDateTime"].endswith("Z")


@pytest.mark.parametrize("version", ["v1.0", "v1.1-preview.1", "v1.2-preview.1", "v1.2"])
async def test_every_version_shows_the_same(door: House, version: str) -> None:
    made = await door.ask("PUT", f"/facelists/of-{version.replace('.', '_')}", version, json={"name": "n"})
    assert made.status_code == 200
    assert await door.done("GET", f"/facelists/of-{version.replace('.', '_')}")


@pytest.mark.parametrize("version", ["v1.0", "v1.2"])
@pytest.mark.parametrize("path", ["/persons", "/dynamicpersongroups", "/dynamicpersongroups/g", "/operations/0"])
async def test_only_the_previews_have_the_directory(door: House, version: str, path: str) -> None:
    assert await door.refused("GET", path, version=version) == (404, "404")
