"""Enrolled faces of lists and of groups' persons: add one from an image, show it, describe it, forget it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from pipeline.api import answers
from pipeline.api.bodies import PersistedFaceId, PersonId, Start, TargetFace, Top, UpdateFace
from pipeline.api.images import IMAGE_BODY
from pipeline.api.kinds import LARGE_FACE_LIST, Kind
from pipeline.api.portraits import portrait
from pipeline.api.routes.collections import own_id, persisted
from pipeline.api.service import Asked, Current, done
from pipeline.operations import collections, enrolled, persons
from pipeline.records import Recognition
from pipeline.settings.api import DetectionModel

Detection = Annotated[DetectionModel, Query(alias="detectionModel")]
Target = Annotated[TargetFace | None, Query(alias="targetFace", description="left,top,width,height")]
Described = Annotated[str | None, Query(alias="userData", max_length=1_024)]


@dataclass(frozen=True, slots=True)
class Picture:
    """What adding a face is told: the image, which face in it, found by which model, and words about it."""

    request: Request
    target: Target = None
    detection: Detection = "detection_01"
    user_data: Described = None


Adding = Annotated[Picture, Depends()]


def of_lists(kind: Kind) -> APIRouter:
    """Faces that belong to a list."""
    router = APIRouter()
    place = f"/{kind.path}/{{{kind.id_name}}}/persistedfaces"

    @router.post(place, response_model=answers.FaceAdded, openapi_extra=IMAGE_BODY, name=f"add_{kind.kind}_face")
    async def add(asked: Current, picture: Adding, given: str = own_id(kind)) -> answers.FaceAdded:
        collection = collections.existing(asked.client, kind.scope(given))
        return await added(asked, picture, kind.scope(given), None, collection.recognition)

    @router.delete(f"{place}/{{persistedFaceId}}", name=f"delete_{kind.kind}_face", response_class=Response)
    async def delete(asked: Current, face: PersistedFaceId, given: str = own_id(kind)) -> Response:
        await enrolled.delete(asked.client, kind.scope(given), None, face, request_id=asked.request_id)
        return done()

    return router


def of_large_lists() -> APIRouter:
    """What only a large list can be asked about its faces."""
    router, kind = APIRouter(), LARGE_FACE_LIST
    place = f"/{kind.path}/{{{kind.id_name}}}/persistedfaces"

    @router.get(place, response_model=list[answers.PersistedFace], name="list_largefacelist_faces")
    async def list_(
        asked: Current, given: str = own_id(kind), start: Start = None, top: Top = 1_000
    ) -> Sequence[answers.PersistedFace]:
        page = enrolled.listed(asked.client, kind.scope(given), None, start=start or "", top=top)
        return [persisted(each) for each in page]

    @router.get(f"{place}/{{persistedFaceId}}", response_model=answers.PersistedFace, name="get_largefacelist_face")
    async def get(asked: Current, face: PersistedFaceId, given: str = own_id(kind)) -> answers.PersistedFace:
        return persisted(enrolled.shown(asked.client, kind.scope(given), None, face))

    @router.patch(f"{place}/{{persistedFaceId}}", name="update_largefacelist_face", response_class=Response)
    async def update(asked: Current, body: UpdateFace, face: PersistedFaceId, given: str = own_id(kind)) -> Response:
        await enrolled.update(
            asked.client, kind.scope(given), None, face, user_data=body.user_data, request_id=asked.request_id
        )
        return done()

    return router


def of_persons(kind: Kind) -> APIRouter:
    """Faces of a group's persons."""
    router = APIRouter()
    place = f"/{kind.path}/{{{kind.id_name}}}/persons/{{personId}}/persistedfaces"
    one = f"{place}/{{persistedFaceId}}"

    @router.post(place, response_model=answers.FaceAdded, openapi_extra=IMAGE_BODY, name=f"add_{kind.kind}_face")
    async def add(asked: Current, picture: Adding, person: PersonId, given: str = own_id(kind)) -> answers.FaceAdded:
        scope = kind.scope(given)
        collection = collections.existing(asked.client, scope)
        persons.existing_person(asked.client, scope, person)
        return await added(asked, picture, scope, person, collection.recognition)

    @router.get(one, response_model=answers.PersistedFace, name=f"get_{kind.kind}_face")
    async def get(
        asked: Current, person: PersonId, face: PersistedFaceId, given: str = own_id(kind)
    ) -> answers.PersistedFace:
        return persisted(enrolled.shown(asked.client, kind.scope(given), person, face))

    @router.patch(one, name=f"update_{kind.kind}_face", response_class=Response)
    async def update(
        asked: Current, body: UpdateFace, person: PersonId, face: PersistedFaceId, given: str = own_id(kind)
    ) -> Response:
        scope, words = kind.scope(given), body.user_data
        await enrolled.update(asked.client, scope, person, face, user_data=words, request_id=asked.request_id)
        return done()

    @router.delete(one, name=f"delete_{kind.kind}_face", response_class=Response)
    async def delete(asked: Current, person: PersonId, face: PersistedFaceId, given: str = own_id(kind)) -> Response:
        await enrolled.delete(asked.client, kind.scope(given), person, face, request_id=asked.request_id)
        return done()

    return router


async def added(
    asked: Asked, picture: Picture, scope: str, person: str | None, recognition: Recognition | None
) -> answers.FaceAdded:
    """Enrol the face that the request's image shows."""
    if recognition is None:
        raise ValueError(f"{scope} holds no templates")
    measured = await portrait(asked.service, picture.request, recognition, picture.detection, picture.target)
    face = await enrolled.add(
        asked.client,
        scope,
        person,
        measured,
        recognition=recognition,
        user_data=picture.user_data,
        request_id=asked.request_id,
    )
    return answers.FaceAdded(persisted_face_id=face)
