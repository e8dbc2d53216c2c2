"""Errors as the contract has them: which status a code is, to which operation; and nothing of the request in them."""

import json

import pytest
from pydantic import ValidationError

from pipeline.api import bodies
from pipeline.api.errors import Problem, internal, invalid, refused, too_often, unavailable

WORDS = "Eileen Collins"


@pytest.mark.parametrize(
    ("operation", "code", "status"),
    [
        ("verify", "FaceNotFound", 404),
        ("verify", "PersonNotFound", 404),
        ("verify", "PersistedFaceNotFound", 404),
        ("verify", "PersonGroupNotFound", 400),
        ("verify", "LargePersonGroupNotFound", 400),
        ("verify", "BadArgument", 400),
        ("identify", "FaceNotFound", 400),
        ("identify", "PersonGroupNotFound", 400),
        ("identify", "DynamicPersonGroupNotFound", 400),
        ("identify", "PersonGroupNotTrained", 400),
        ("identify", "LargePersonGroupTrainingNotFinished", 409),
        ("find_similar", "FaceNotFound", 400),
        ("find_similar", "FaceListNotFound", 400),
        ("find_similar", "FaceListNotReady", 400),
        ("find_similar", "LargeFaceListNotTrained", 400),
        ("find_similar", "LargeFaceListTrainingNotFinished", 409),
        ("group", "FaceNotFound", 400),
        ("training_persongroup", "PersonGroupNotTrained", 404),
        ("get_facelist", "FaceListNotFound", 404),
        ("delete_persongroup_person", "PersonNotFound", 404),
        ("get_persongroup_face", "PersistedFaceNotFound", 404),
        ("create_facelist", "FaceListExists", 409),
        ("create_facelist", "QuotaExceeded", 403),
        ("create_facelist", "InternalServerError", 500),
        ("add_facelist_face", "InvalidImage", 400),
        ("add_facelist_face", "ConcurrentOperationConflict", 409),
        ("get_operation", "OperationNotFound", 404),
    ],
)
def test_the_table_of_statuses(operation: str, code: str, status: int) -> None:
    answer = refused(operation, code, "a sentence").response()
    assert answer.status_code == status
    assert answer.headers["x-ms-error-code"] == code
    body = json.loads(bytes(answer.body))
    assert body["error"]["code"] == code
    assert body["error"]["message"]


def test_known_codes_have_the_services_own_words() -> None:
    assert refused("verify", "FaceNotFound", "there is no face 123").message == "Face is not found."
    said = refused("create_largepersongroup", "LargePersonGroupExists", "x").message
    assert said == "Large person group already exists."
    assert refused("identify", "BadArgument", "'recognitionModel' is incompatible.").message == (
        "'recognitionModel' is incompatible."
    )


def test_what_is_worth_a_retry_says_when() -> None:
    assert unavailable().headers["Retry-After"] == "1"
    assert too_often(0.01).headers["Retry-After"] == "1"
    assert too_often(2.5).headers["Retry-After"] == "3"
    assert "Retry-After" not in internal("id").headers


def told(model: type[bodies.Body], **given: object) -> Problem:
    with pytest.raises(ValidationError) as refusal:
        model.model_validate(given)
    # As FastAPI says it: the place begins with where in the request the value stood.
    return invalid([{**each, "loc": ("body", *each["loc"])} for each in refusal.value.errors()])


@pytest.mark.parametrize(
    ("model", "given", "message"),
    [
        (bodies.CreatePerson, {"userData": WORDS}, "'name' is invalid: it is required."),
        (bodies.CreatePerson, {"name": ""}, "'name' is invalid: it is too short."),
        (bodies.CreatePerson, {"name": WORDS * 20}, "'name' is invalid: it is too long."),
        (bodies.CreatePerson, {"name": [WORDS]}, "'name' is invalid: it is of the wrong type."),
        (bodies.Update, {}, "'name' and 'userData' are both empty."),
        (bodies.UpdateFace, {"userData": WORDS * 100}, "'userData' is invalid: it is too long."),
        (
            bodies.CreateCollection,
            {"name": "n", "recognitionModel": WORDS},
            "'recognitionModel' is invalid: it is none of the allowed values.",
        ),
        (bodies.Group, {"faceIds": [WORDS, WORDS]}, "'faceIds' is invalid: it is of the wrong type."),
        (bodies.Identify, {"faceIds": []}, "'faceIds' is invalid: it has too few items."),
        (bodies.Identify, {"faceIds": ["0" * 32] * 11}, "'faceIds' is invalid: it has too many items."),
        (
            bodies.Identify,
            {"faceIds": ["0" * 32], "maxNumOfCandidatesReturned": 101},
            "'maxNumOfCandidatesReturned' is invalid: it is too large.",
        ),
        (
            bodies.FindSimilar,
            {"faceId": "0" * 32},
            "Exactly one of 'faceIds', 'faceListId' and 'largeFaceListId' must be given.",
        ),
        (
            bodies.FindSimilar,
            {"faceId": "0" * 32, "faceListId": "Secret"},
            "'faceListId' is invalid: it has characters that are not allowed.",
        ),
    ],
)
def test_a_mistake_names_the_field_and_repeats_nothing(
    model: type[bodies.Body], given: dict[str, object], message: str
) -> None:
    problem = told(model, **given)
    assert (problem.status, problem.code, problem.message) == (400, "BadArgument", message)


@pytest.mark.parametrize(
    "given",
    [
        {"faceId1": "0" * 32},
        {"faceId1": "0" * 32, "faceId2": "1" * 32, "faceId": "2" * 32},
        {"faceId": "0" * 32, "personGroupId": "g"},
        {"faceId": "0" * 32, "personId": "1" * 32, "personGroupId": "g", "largePersonGroupId": "h"},
        {},
    ],
)
def test_a_verification_asks_one_question(given: dict[str, object]) -> None:
    assert told(bodies.Verify, **given).code == "BadArgument"


def test_ids_are_one_spelling() -> None:
    body = bodies.Verify.model_validate({"faceId1": "A" * 32, "faceId2": "{" + "b" * 32 + "}"})
    assert body.face_id1 == "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"
    assert body.face_id2 == "bbbbbbbb-bbbb-bbbb-bbbb-bbbbbbbbbbbb"
