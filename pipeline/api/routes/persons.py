"""Persons of a group: make one, show it, list them, rename one, forget one."""

from collections.abc import Sequence

from fastapi import APIRouter
from starlette.responses import Response

from pipeline.api import answers
from pipeline.api.bodies import CreatePerson, PersonId, Start, Top, Update
from pipeline.api.kinds import Kind
from pipeline.api.routes.collections import own_id
from pipeline.api.service import Current, done
from pipeline.operations import persons


def of_groups(kind: Kind) -> APIRouter:
    """Persons of PersonGroups or of LargePersonGroups."""
    router = APIRouter()
    place = f"/{kind.path}/{{{kind.id_name}}}/persons"
    one = f"{place}/{{personId}}"

    @router.post(place, response_model=answers.PersonCreated, name=f"create_{kind.kind}_person")
    async def create(asked: Current, body: CreatePerson, given: str = own_id(kind)) -> answers.PersonCreated:
        person = await persons.add(
            asked.client, kind.scope(given), body.name, user_data=body.user_data, request_id=asked.request_id
        )
        return answers.PersonCreated(person_id=person)

    @router.get(place, response_model=list[answers.Person], name=f"list_{kind.kind}_persons")
    async def list_(
        asked: Current, given: str = own_id(kind), start: Start = None, top: Top = 1_000
    ) -> Sequence[answers.Person]:
        page = persons.listed(asked.client, kind.scope(given), start=start or "", top=top)
        return [_person(each) for each in page]

    @router.get(one, response_model=answers.Person, name=f"get_{kind.kind}_person")
    async def get(asked: Current, person: PersonId, given: str = own_id(kind)) -> answers.Person:
        return _person(persons.shown(asked.client, kind.scope(given), person))

    @router.patch(one, name=f"update_{kind.kind}_person", response_class=Response)
    async def update(asked: Current, body: Update, person: PersonId, given: str = own_id(kind)) -> Response:
        scope, name, words = kind.scope(given), body.name, body.user_data
        await persons.update(asked.client, scope, person, name=name, user_data=words, request_id=asked.request_id)
        return done()

    @router.delete(one, name=f"delete_{kind.kind}_person", response_class=Response)
    async def delete(asked: Current, person: PersonId, given: str = own_id(kind)) -> Response:
        await persons.delete(asked.client, kind.scope(given), person, request_id=asked.request_id)
        return done()

    return router


def _person(shown: persons.Shown) -> answers.Person:
    return answers.Person(
        person_id=shown.person.person_id,
        name=shown.name,
        user_data=shown.user_data,
        persisted_face_ids=list(shown.faces),
    )
