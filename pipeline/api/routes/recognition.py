"""Questions about faces: is it the same person, who is it, which are like it, which belong together."""

from collections.abc import Sequence

from fastapi import APIRouter

from pipeline.api import answers
from pipeline.api.bodies import FindSimilar, Group, Identify, Verify
from pipeline.api.errors import Problem, bad_argument
from pipeline.api.kinds import FACE_LIST, LARGE_FACE_LIST, LARGE_PERSON_GROUP, PERSON_GROUP
from pipeline.api.service import Asking
from pipeline.operations import grouping, identification, similarity, verification
from pipeline.operations.identification import AmongPersons, InGroup, Scope
from pipeline.records import DIRECTORY

router = APIRouter()


@router.post("/verify", response_model=answers.Verified)
async def verify(asked: Asking, body: Verify) -> answers.Verified:
    service = asked.service
    if body.face_id1 is not None and body.face_id2 is not None:
        verdict = await verification.faces(service.recogniser, body.face_id1, body.face_id2)
    else:
        scope, face, person = _of_person(body, directory=asked.version.directory)
        verdict = await verification.person(asked.client, service.recogniser, face, scope, person)
    return answers.Verified(is_identical=verdict.identical, confidence=verdict.confidence)


def _of_person(body: Verify, *, directory: bool) -> tuple[str, str, str]:
    """Scope, faceId and personId of a question about a person."""
    if body.person_group_id is not None:
        scope = PERSON_GROUP.scope(body.person_group_id)
    elif body.large_person_group_id is not None:
        scope = LARGE_PERSON_GROUP.scope(body.large_person_group_id)
    elif directory:
        scope = DIRECTORY
    else:
        raise bad_argument("'personGroupId' and 'largePersonGroupId' are both null.")
    return scope, str(body.face_id), str(body.person_id)


@router.post("/identify", response_model=list[answers.Identified])
async def identify(asked: Asking, body: Identify) -> Sequence[answers.Identified]:
    found = await identification.identify(
        asked.client,
        asked.service.recogniser,
        body.face_ids,
        _among(body, directory=asked.version.directory),
        most=body.max_num_of_candidates_returned,
        threshold=body.confidence_threshold,
    )
    return [
        answers.Identified(
            face_id=each.face_id,
            candidates=[
                answers.Candidate(person_id=who.person_id, confidence=who.confidence) for who in each.candidates
            ],
        )
        for each in found
    ]


def _among(body: Identify, *, directory: bool) -> Scope:
    groups = [
        InGroup(kind.scope(given))
        for kind, given in ((PERSON_GROUP, body.person_group_id), (LARGE_PERSON_GROUP, body.large_person_group_id))
        if given is not None
    ]
    if len(groups) > 1:
        message = "'personGroupId' and 'largePersonGroupId' are both not null."
        raise Problem(400, "PersonGroupIdAndLargePersonGroupIdBothNotNull", message)
    persons: list[Scope] = []
    if directory and body.dynamic_person_group_id is not None:
        persons.append(InGroup(f"dynamicpersongroup/{body.dynamic_person_group_id}"))
    if directory and body.person_ids is not None:
        persons.append(AmongPersons(body.person_ids))
    match [*groups, *persons]:
        case [one]:
            return one
        case []:
            raise _no_scope(directory=directory)
        case _:
            message = "The identification scopes cannot be combined: give exactly one."
            raise Problem(400, "IncompatibleIdentificationScopeParametersCombination", message)


def _no_scope(*, directory: bool) -> Problem:
    if directory:
        message = "'personGroupId', 'largePersonGroupId', 'dynamicPersonGroupId' or 'personIds' must be given."
        return Problem(400, "MissingIdentificationScopeParameters", message)
    message = "'personGroupId' and 'largePersonGroupId' are both null."
    return Problem(400, "PersonGroupIdAndLargePersonGroupIdBothNull", message)


@router.post("/findsimilars", response_model=list[answers.Similar], response_model_exclude_unset=True)
async def find_similar(asked: Asking, body: FindSimilar) -> Sequence[answers.Similar]:
    recogniser, most = asked.service.recogniser, body.max_num_of_candidates_returned
    if body.face_ids is not None:
        faces = await similarity.among_faces(recogniser, body.face_id, body.face_ids, mode=body.mode, most=most)
        return [answers.Similar(confidence=each.confidence, face_id=each.face_id) for each in faces]
    if body.face_list_id is not None:
        scope = FACE_LIST.scope(body.face_list_id)
    else:
        scope = LARGE_FACE_LIST.scope(str(body.large_face_list_id))
    found = await similarity.in_list(asked.client, recogniser, body.face_id, scope, mode=body.mode, most=most)
    return [answers.Similar(confidence=each.confidence, persisted_face_id=each.face_id) for each in found]


@router.post("/group", response_model=answers.Grouped)
async def group(asked: Asking, body: Group) -> answers.Grouped:
    found = await grouping.group(asked.service.recogniser, body.face_ids)
    return answers.Grouped(groups=[list(each) for each in found.groups], messy_group=list(found.messy))
