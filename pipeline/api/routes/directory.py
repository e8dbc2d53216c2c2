"""The PersonDirectory and its persons' faces: changes are answered 202, with the address of their operation."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from pipeline.api import answers
from pipeline.api.bodies import CreatePerson, PersistedFaceId, PersonId, Start, Top, Update, UpdateFace
from pipeline.api.images import IMAGE_BODY
from pipeline.api.routes.collections import persisted
from pipeline.api.routes.faces import Adding, added
from pipeline.api.service import Asked, Current, done
from pipeline.operations import Refused, directory, enrolled, persons
from pipeline.records import DIRECTORY, RecognitionModel

router = APIRouter()

Model = Annotated[RecognitionModel, Path(alias="recognitionModel")]
FACES = "/persons/{personId}/recognitionModels/{recognitionModel}/persistedfaces"
FACE = f"{FACES}/{{persistedFaceId}}"


@router.post("/persons", status_code=202, response_model=answers.PersonCreated)
async def create_person(asked: Current, body: CreatePerson) -> Response:
    person = await persons.add(
        asked.client, DIRECTORY, body.name, user_data=body.user_data, request_id=asked.request_id
    )
    return asked.accepted(asked.operation, f"persons/{person}", answers.PersonCreated(person_id=person))


@router.get("/persons", response_model=list[answers.DirectoryPerson])
async def list_persons(asked: Current, start: Start = None, top: Top = 1_000) -> Sequence[answers.DirectoryPerson]:
    return [_person(each) for each in persons.listed(asked.client, DIRECTORY, start=start or "", top=top)]


@router.get("/persons/{personId}", response_model=answers.DirectoryPerson)
async def get_person(asked: Current, person: PersonId) -> answers.DirectoryPerson:
    return _person(persons.shown(asked.client, DIRECTORY, person))


@router.patch("/persons/{personId}", response_class=Response)
async def update_person(asked: Current, body: Update, person: PersonId) -> Response:
    await persons.update(
        asked.client, DIRECTORY, person, name=body.name, user_data=body.user_data, request_id=asked.request_id
    )
    return done()


@router.delete("/persons/{personId}", status_code=202, response_class=Response)
async def delete_person(asked: Current, person: PersonId) -> Response:
    await persons.delete(asked.client, DIRECTORY, person, request_id=asked.request_id)
    return asked.accepted(asked.operation)


@router.get("/persons/{personId}/dynamicPersonGroupReferences", response_model=answers.GroupReferences)
async def list_references(
    asked: Current, person: PersonId, start: Start = None, top: Top = 1_000
) -> answers.GroupReferences:
    groups = directory.references(asked.client, person, start=start or "", top=top)
    return answers.GroupReferences(dynamic_person_group_ids=groups)


@router.post(FACES, status_code=202, response_model=answers.FaceAdded, openapi_extra=IMAGE_BODY)
async def add_person_face(asked: Current, picture: Adding, person: PersonId, model: Model) -> Response:
    persons.existing_person(asked.client, DIRECTORY, person)
    recognition = asked.service.recognitions[model]
    face = await added(asked, picture, DIRECTORY, person, recognition)
    place = f"persons/{person}/recognitionModels/{model}/persistedfaces/{face.persisted_face_id}"
    return asked.accepted(asked.operation, place, face)


@router.get(FACES, response_model=answers.PersonFaces)
async def list_person_faces(asked: Current, person: PersonId, model: Model) -> answers.PersonFaces:
    faces = enrolled.listed(asked.client, DIRECTORY, person, model=model)
    ids = [each.template.persisted_face_id for each in faces]
    return answers.PersonFaces(person_id=person, persisted_face_ids=ids)


@router.get(FACE, response_model=answers.PersistedFace)
async def get_person_face(
    asked: Current, person: PersonId, model: Model, face: PersistedFaceId
) -> answers.PersistedFace:
    return persisted(_face(asked, person, face, model))


@router.patch(FACE, response_class=Response)
async def update_person_face(
    asked: Current, body: UpdateFace, person: PersonId, model: Model, face: PersistedFaceId
) -> Response:
    _face(asked, person, face, model)
    await enrolled.update(asked.client, DIRECTORY, person, face, user_data=body.user_data, request_id=asked.request_id)
    return done()


@router.delete(FACE, status_code=202, response_class=Response)
async def delete_person_face(asked: Current, person: PersonId, model: Model, face: PersistedFaceId) -> Response:
    _face(asked, person, face, model)
    await enrolled.delete(asked.client, DIRECTORY, person, face, request_id=asked.request_id)
    return asked.accepted(asked.operation)


def _face(asked: Asked, person: str, face: str, model: RecognitionModel) -> enrolled.Shown:
    """A face of a person; Refused where there is none, or one of another model."""
    shown = enrolled.shown(asked.client, DIRECTORY, person, face)
    if shown.template.recognition.name != model:
        raise Refused(f"the person has no face {face} of {model}", "PersistedFaceNotFound")
    return shown


def _person(shown: persons.Shown) -> answers.DirectoryPerson:
    return answers.DirectoryPerson(person_id=shown.person.person_id, name=shown.name, user_data=shown.user_data)
