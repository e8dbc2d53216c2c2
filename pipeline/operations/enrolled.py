"""Enrolled faces, of a person or of a face list: add one, show it, give it other userData, forget it."""

from dataclasses import dataclass

from pipeline.identifiers import template_key, template_owner
from pipeline.operations import Refused, persons, still_there, words
from pipeline.operations.client import Client
from pipeline.operations.collections import existing, for_recognition
from pipeline.operations.photos import Portrait
from pipeline.operations.templates import sealed_template
from pipeline.records import (
    DIRECTORY,
    AddFace,
    DeleteFace,
    Operation,
    Recognition,
    RecognitionModel,
    Template,
    UpdateFace,
)
from pipeline.topology import TEMPLATES


@dataclass(frozen=True, slots=True)
class Shown:
    """An enrolled face with its userData in the clear."""

    template: Template
    user_data: str | None


async def add(
    client: Client,
    scope: str,
    person_id: str | None,
    portrait: Portrait,
    *,
    recognition: Recognition,
    user_data: str | None = None,
    request_id: str,
) -> str:
    """Add one template to a person, or to a face list (`person_id` None); the persistedFaceId."""
    heading = client.heading(scope, request_id)
    if (known := client.asker.outcome(heading["operation_id"])) is not None:
        return str(known.resource)
    user_data = words.checked(user_data, "userData", words.FACE_USER_DATA)
    if scope != DIRECTORY:
        for_recognition(existing(client, scope), recognition)
    home = persons.gallery(client, scope)
    if person_id is None:
        kid = await client.drawn_key("face")
    else:
        kid = persons.existing_person(client, scope, person_id).kid
    with still_there("PersonNotFound", f"person {person_id} was deleted"):
        template = sealed_template(
            client,
            home.uid,
            home.kind,
            portrait,
            recognition=recognition,
            kid=kid,
            person_id=person_id,
            user_data=user_data,
        )
    command = AddFace(**heading, template=template)
    if person_id is None:
        return await client.ask_with_key(command, kid, template.persisted_face_id)
    return str((await client.asker.ask(command)).resource)


def existing_face(client: Client, scope: str, person_id: str | None, face: str) -> Template:
    """A template of a person, or of a face list; Refused where there is none."""
    template = client.tables.live.templates.get(template_key(_owner(client, scope, person_id), face))
    if template is None:
        whose = scope if person_id is None else f"person {person_id}"
        raise Refused(f"{whose} has no face {face}", "PersistedFaceNotFound")
    return template


def shown(client: Client, scope: str, person_id: str | None, face: str) -> Shown:
    """An enrolled face; Refused where there is none."""
    return _shown(client, existing_face(client, scope, person_id, face))


def listed(
    client: Client,
    scope: str,
    person_id: str | None,
    *,
    start: str = "",
    top: int | None = None,
    model: RecognitionModel | None = None,
) -> list[Shown]:
    """The enrolled faces in order of their ids, at most `top` of those behind `start`, of one `model` if given."""
    live = client.tables.live
    owner = _owner(client, scope, person_id)
    if model is None:
        ids = live.faces_of(owner, start=start, top=top)
    else:
        ids = [
            face
            for face in live.faces_of(owner, start=start)
            if live.templates[template_key(owner, face)].recognition.name == model
        ][:top]
    return [_shown(client, live.templates[template_key(owner, face)]) for face in ids]


async def update(
    client: Client, scope: str, person_id: str | None, face: str, *, user_data: str, request_id: str
) -> None:
    """Give an enrolled face other userData; Refused where there is none."""
    template = existing_face(client, scope, person_id, face)
    words.checked(user_data, "userData", words.FACE_USER_DATA)
    key = template_key(template_owner(template), face)
    with still_there("PersistedFaceNotFound", f"face {face} was deleted"):
        sealed = words.seal(client, template.vector.kid, user_data, topic=TEMPLATES, key=key, field="userData")
    await client.asker.ask(
        UpdateFace(**client.heading(scope, request_id), persisted_face_id=face, person_id=person_id, user_data=sealed)
    )


async def delete(client: Client, scope: str, person_id: str | None, face: str, *, request_id: str) -> Operation:
    """Forget one template, of a person or of a face list; what came of it, once nobody can be named by it."""
    command = DeleteFace(**client.heading(scope, request_id), person_id=person_id, persisted_face_id=face)
    return await client.asker.ask(command)


def _owner(client: Client, scope: str, person_id: str | None) -> str:
    if person_id is None:
        return existing(client, scope).uid
    return persons.existing_person(client, scope, person_id).person_id


def _shown(client: Client, template: Template) -> Shown:
    key = template_key(template_owner(template), template.persisted_face_id)
    return Shown(template, words.opened(client, template.user_data, topic=TEMPLATES, key=key, field="userData"))
