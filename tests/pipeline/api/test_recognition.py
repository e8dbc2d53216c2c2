"""Detect, Verify, Identify, Find Similar and Group over HTTP: what they answer, and what they refuse."""

import uuid
from typing import Any

import pytest
import pytest_asyncio

from tests.pipeline.api.house import OCTETS, House

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.broker,
    pytest.mark.milvus,
    pytest.mark.timeout(120),
]

NOBODY = str(uuid.UUID(int=7))
MODEL = "recognition_04"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def known(door: House, pictures: dict[str, bytes]) -> dict[str, str]:
    """Eileen and Grace in groups of both sizes and in the directory, Grace in both lists; ids by name."""
    ids = {}
    for kind in ("persongroups", "largepersongroups"):
        await door.done("PUT", f"/{kind}/known", {"name": "n", "recognitionModel": MODEL})
        for name in ("eileen", "grace"):
            person = (await door.done("POST", f"/{kind}/known/persons", {"name": name}))["personId"]
            await door.sent(f"/{kind}/known/persons/{person}/persistedfaces", pictures[name])
            ids[f"{kind} {name}"] = person
        await door.trained(f"/{kind}/known")
    for kind in ("facelists", "largefacelists"):
        await door.done("PUT", f"/{kind}/known", {"name": "n", "recognitionModel": MODEL})
        added = await door.sent(f"/{kind}/known/persistedfaces", pictures["grace"])
        ids[kind] = added["persistedFaceId"]
    await door.trained("/largefacelists/known")
    for name in ("eileen", "grace"):
        ids[f"directory {name}"] = (await door.done("POST", "/persons", {"name": name}))["personId"]
        place = f"/persons/{ids[f'directory {name}']}/recognitionModels/{MODEL}/persistedfaces"
        await door.sent(place, pictures[name])
    await door.done("PUT", "/dynamicpersongroups/known", {"name": "n", "addPersonIds": [ids["directory grace"]]})
    for name in ("eileen", "grace", "eileen again", "grace again"):
        ids[name] = await door.detected(pictures[name])
    return ids


async def test_detection_says_what_was_asked_and_no_more(door: House, pictures: dict[str, bytes]) -> None:
    large, small = await door.sent("/detect", pictures["both"])
    assert set(large) == {"faceId", "faceRectangle"}
    area = [each["faceRectangle"]["width"] * each["faceRectangle"]["height"] for each in (large, small)]
    assert area == sorted(area, reverse=True)
    assert uuid.UUID(large["faceId"]) != uuid.UUID(small["faceId"])
    everything = {"returnFaceLandmarks": "true", "returnRecognitionModel": "true", "recognitionModel": MODEL}
    (told,) = await door.sent("/detect", pictures["grace"], **everything)
    assert told["recognitionModel"] == MODEL
    assert told["faceLandmarks"]["pupilLeft"]["x"] < told["faceLandmarks"]["pupilRight"]["x"]
    (nothing,) = await door.sent("/detect", pictures["grace"], returnFaceId="false", returnRecognitionModel="true")
    assert set(nothing) == {"faceRectangle"}


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ({"faceIdTimeToLive": "59"}, (400, "BadArgument")),
        ({"faceIdTimeToLive": "86401"}, (400, "BadArgument")),
        ({"detectionModel": "detection_04"}, (400, "BadArgument")),
        ({"recognitionModel": "x"}, (400, "BadArgument")),
        ({"returnFaceId": "perhaps"}, (400, "BadArgument")),
        ({"returnFaceAttributes": "beauty"}, (400, "BadArgument")),
        ({"returnFaceAttributes": "age,headPose"}, (403, "UnsupportedFeature")),
        ({"returnFaceAttributes": "mask"}, (400, "BadArgument")),
        ({"returnFaceAttributes": "headPose", "detectionModel": "detection_02"}, (400, "BadArgument")),
        ({"returnFaceAttributes": "qualityForRecognition"}, (400, "BadArgument")),
        ({"returnFaceLandmarks": "true", "detectionModel": "detection_02"}, (400, "BadArgument")),
    ],
)
async def test_what_detection_refuses(
    door: House, pictures: dict[str, bytes], query: dict[str, str], answer: tuple[int, str]
) -> None:
    said = await door.ask("POST", "/detect", params=query, content=pictures["grace"], headers=OCTETS)
    assert (said.status_code, said.json()["error"]["code"]) == answer


async def test_two_faces_are_verified(door: House, known: dict[str, str]) -> None:
    same = await door.done("POST", "/verify", {"faceId1": known["grace"], "faceId2": known["grace again"]})
    assert same["isIdentical"]
    assert 0.5 <= same["confidence"] <= 1
    other = await door.done("POST", "/verify", {"faceId1": known["grace"], "faceId2": known["eileen"]})
    assert not other["isIdentical"]
    assert other["confidence"] < 0.5


@pytest.mark.parametrize(
    ("scope", "kind"),
    [
        ({"personGroupId": "known"}, "persongroups"),
        ({"largePersonGroupId": "known"}, "largepersongroups"),
        ({}, "directory"),
    ],
)
async def test_a_face_is_verified_against_a_person(
    door: House, known: dict[str, str], scope: dict[str, str], kind: str
) -> None:
    for name, expected in (("grace", True), ("eileen", False)):
        body = {"faceId": known["grace again"], "personId": known[f"{kind} {name}"], **scope}
        assert (await door.done("POST", "/verify", body))["isIdentical"] is expected


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({"faceId1": NOBODY, "faceId2": NOBODY}, (404, "FaceNotFound")),
        ({"faceId": NOBODY, "personId": NOBODY, "personGroupId": "none"}, (400, "PersonGroupNotFound")),
        ({"faceId": NOBODY, "personId": NOBODY, "largePersonGroupId": "none"}, (400, "LargePersonGroupNotFound")),
        ({"faceId": NOBODY, "personId": NOBODY, "personGroupId": "known"}, (404, "PersonNotFound")),
        ({"faceId": NOBODY, "personId": NOBODY}, (404, "PersonNotFound")),
        ({"faceId": "x", "personId": NOBODY}, (400, "BadArgument")),
        ({"faceId": NOBODY}, (400, "BadArgument")),
        ({}, (400, "BadArgument")),
    ],
)
@pytest.mark.usefixtures("known")
async def test_what_verification_refuses(door: House, body: dict[str, str], answer: tuple[int, str]) -> None:
    assert await door.refused("POST", "/verify", body) == answer


async def test_templates_of_different_models_never_meet(
    door: House, known: dict[str, str], pictures: dict[str, bytes]
) -> None:
    old = await door.detected(pictures["grace"], recognitionModel="recognition_01")
    for path, body in (
        ("/verify", {"faceId1": old, "faceId2": known["grace"]}),
        ("/identify", {"faceIds": [old], "largePersonGroupId": "known"}),
        ("/findsimilars", {"faceId": old, "faceListId": "known"}),
        ("/group", {"faceIds": [old, known["grace"]]}),
    ):
        assert await door.refused("POST", path, body) == (400, "BadArgument")


@pytest.mark.parametrize(
    ("scope", "kind", "missed"),
    [
        ({"personGroupId": "known"}, "persongroups", False),
        ({"largePersonGroupId": "known"}, "largepersongroups", False),
        ({"dynamicPersonGroupId": "known"}, "directory", True),
        ({"personIds": ["*"]}, "directory", False),
    ],
)
async def test_faces_are_identified(
    door: House, known: dict[str, str], scope: dict[str, Any], kind: str, missed: bool
) -> None:
    faces = [known["grace again"], known["eileen again"]]
    grace, eileen = await door.done("POST", "/identify", {"faceIds": faces, **scope})
    assert [each["faceId"] for each in (grace, eileen)] == faces
    assert [each["personId"] for each in grace["candidates"]] == [known[f"{kind} grace"]]
    expected = [] if missed else [known[f"{kind} eileen"]]
    assert [each["personId"] for each in eileen["candidates"]] == expected


async def test_identification_among_persons_and_with_a_threshold(door: House, known: dict[str, str]) -> None:
    body: dict[str, Any] = {"faceIds": [known["grace again"]], "personIds": [known["directory eileen"]]}
    (nobody,) = await door.done("POST", "/identify", body)
    assert nobody["candidates"] == []
    body = {"faceIds": [known["grace again"]], "largePersonGroupId": "known", "confidenceThreshold": 0.0}
    (both,) = await door.done("POST", "/identify", body)
    assert [each["personId"] for each in both["candidates"]] == [
        known["largepersongroups grace"],
        known["largepersongroups eileen"],
    ]
    (one,) = await door.done("POST", "/identify", {**body, "maxNumOfCandidatesReturned": 1})
    assert len(one["candidates"]) == 1


@pytest.mark.parametrize(
    ("scope", "answer"),
    [
        ({"largePersonGroupId": "known"}, (400, "FaceNotFound")),
        ({"personGroupId": "none"}, (400, "PersonGroupNotFound")),
        ({"largePersonGroupId": "none"}, (400, "LargePersonGroupNotFound")),
        ({"dynamicPersonGroupId": "none"}, (400, "DynamicPersonGroupNotFound")),
        ({"largePersonGroupId": "untrained"}, (400, "LargePersonGroupNotTrained")),
        ({}, (400, "MissingIdentificationScopeParameters")),
        (
            {"personGroupId": "a", "largePersonGroupId": "b"},
            (400, "PersonGroupIdAndLargePersonGroupIdBothNotNull"),
        ),
        (
            {"personGroupId": "a", "dynamicPersonGroupId": "b"},
            (400, "IncompatibleIdentificationScopeParametersCombination"),
        ),
        ({"largePersonGroupId": "known", "maxNumOfCandidatesReturned": 0}, (400, "BadArgument")),
        ({"largePersonGroupId": "known", "maxNumOfCandidatesReturned": 101}, (400, "BadArgument")),
        ({"largePersonGroupId": "known", "confidenceThreshold": 1.1}, (400, "BadArgument")),
        ({"largePersonGroupId": "known", "faceIds": [NOBODY] * 11}, (400, "BadArgument")),
        ({"largePersonGroupId": "known", "faceIds": []}, (400, "BadArgument")),
        ({"personIds": [NOBODY] * 31}, (400, "BadArgument")),
    ],
)
@pytest.mark.usefixtures("known")
async def test_what_identification_refuses(door: House, scope: dict[str, Any], answer: tuple[int, str]) -> None:
    await door.ask("PUT", "/largepersongroups/untrained", json={"name": "n", "recognitionModel": MODEL})
    assert await door.refused("POST", "/identify", {"faceIds": [NOBODY], **scope}) == answer


@pytest.mark.parametrize("version", ["v1.0", "v1.2"])
async def test_versions_without_a_directory_know_no_scope_of_it(
    door: House, known: dict[str, str], version: str
) -> None:
    body: dict[str, Any] = {"faceIds": [known["grace"]], "personIds": ["*"]}
    said = await door.refused("POST", "/identify", body, version=version)
    assert said == (400, "PersonGroupIdAndLargePersonGroupIdBothNull")
    body = {"faceId": known["grace"], "personId": known["directory grace"]}
    assert await door.refused("POST", "/verify", body, version=version) == (400, "BadArgument")


async def test_similar_faces_are_found(door: House, known: dict[str, str]) -> None:
    body: dict[str, Any] = {"faceId": known["grace again"], "faceIds": [known["grace"], known["eileen"]]}
    (found,) = await door.done("POST", "/findsimilars", body)
    assert set(found) == {"confidence", "faceId"}
    assert found["faceId"] == known["grace"]
    ranked = await door.done("POST", "/findsimilars", {**body, "mode": "matchFace"})
    assert [each["faceId"] for each in ranked] == [known["grace"], known["eileen"]]
    for kind, scope in (("facelists", "faceListId"), ("largefacelists", "largeFaceListId")):
        listed = {"faceId": known["grace again"], scope: "known"}
        (found,) = await door.done("POST", "/findsimilars", listed)
        assert found["persistedFaceId"] == known[kind]
        assert set(found) == {"confidence", "persistedFaceId"}
        assert await door.done("POST", "/findsimilars", {**listed, "faceId": known["eileen"]}) == []


@pytest.mark.parametrize(
    ("scope", "answer"),
    [
        ({"faceListId": "known"}, (400, "FaceNotFound")),
        ({"faceListId": "none"}, (400, "FaceListNotFound")),
        ({"largeFaceListId": "none"}, (400, "LargeFaceListNotFound")),
        ({"largeFaceListId": "empty"}, (400, "LargeFaceListNotTrained")),
        ({}, (400, "BadArgument")),
        ({"faceListId": "a", "largeFaceListId": "b"}, (400, "BadArgument")),
        ({"faceListId": "known", "mode": "x"}, (400, "BadArgument")),
        ({"faceListId": "known", "maxNumOfCandidatesReturned": 1_001}, (400, "BadArgument")),
    ],
)
@pytest.mark.usefixtures("known")
async def test_what_find_similar_refuses(door: House, scope: dict[str, Any], answer: tuple[int, str]) -> None:
    for kind in ("facelists", "largefacelists"):
        await door.ask("PUT", f"/{kind}/empty", json={"name": "n", "recognitionModel": MODEL})
    assert await door.refused("POST", "/findsimilars", {"faceId": NOBODY, **scope}) == answer


async def test_an_empty_list_is_not_ready(door: House, known: dict[str, str]) -> None:
    await door.done("PUT", "/facelists/bare", {"name": "n", "recognitionModel": MODEL})
    body = {"faceId": known["grace"], "faceListId": "bare"}
    assert await door.refused("POST", "/findsimilars", body) == (400, "FaceListNotReady")


async def test_faces_are_grouped(door: House, known: dict[str, str]) -> None:
    faces = [known[name] for name in ("eileen", "grace", "grace again")]
    answer = await door.done("POST", "/group", {"faceIds": faces})
    assert set(answer["messyGroup"]) == {known["eileen"]}
    assert [set(group) for group in answer["groups"]] == [{known["grace"], known["grace again"]}]
    assert await door.refused("POST", "/group", {"faceIds": faces[:1]}) == (400, "BadArgument")
    assert await door.refused("POST", "/group", {"faceIds": [NOBODY, faces[0]]}) == (400, "FaceNotFound")


async def test_a_deleted_person_is_identified_no_more_without_a_training(
    door: House, pictures: dict[str, bytes]
) -> None:
    place = "/largepersongroups/forgetting"
    await door.done("PUT", place, {"name": "n", "recognitionModel": MODEL})
    person = (await door.done("POST", f"{place}/persons", {"name": "Eileen"}))["personId"]
    await door.sent(f"{place}/persons/{person}/persistedfaces", pictures["eileen"])
    await door.trained(place)
    body = {"faceIds": [await door.detected(pictures["eileen again"])], "largePersonGroupId": "forgetting"}
    (found,) = await door.done("POST", "/identify", body)
    assert [each["personId"] for each in found["candidates"]] == [person]
    await door.done("DELETE", f"{place}/persons/{person}")
    (found,) = await door.done("POST", "/identify", body)
    assert found["candidates"] == []
