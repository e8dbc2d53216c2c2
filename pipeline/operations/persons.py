"""Persons: enrol one from photos, add a face, list them, forget one."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline import codec
from pipeline.operations import Refused
from pipeline.operations.client import Client
from pipeline.operations.collections import existing, of_model
from pipeline.operations.photos import Portrait
from pipeline.records import AddFace, AddPerson, Collection, DeleteFace, DeletePerson, Person, Template
from pipeline.topology import PERSONS, TEMPLATES

NAME_LENGTH = 128  # of the Face API (face-contract)


@dataclass(frozen=True, slots=True)
class Listed:
    """A person as a list shows it; `name` is None once the key is destroyed, `faces` are persistedFaceIds."""

    person: Person
    name: str | None
    faces: tuple[str, ...]


async def add(
    client: Client, scope: str, name: str, portraits: Sequence[Portrait], *, model: str, request_id: str
) -> str:
    """Enrol a person with one template per portrait, all of `model`; the personId. Refused with the reason.

    The key is made before the command and destroyed when the command is refused. When nobody answers (Unanswered) it
    stays: the command may yet be carried out.
    """
    heading = client.heading(scope, request_id)
    if (known := client.asker.outcome(heading["operation_id"])) is not None:
        return str(known.resource)
    if not name.strip() or len(name) > NAME_LENGTH:
        raise Refused(f"a name of {len(name)} characters: give 1 to {NAME_LENGTH}, not only blanks")
    collection = of_model(existing(client, scope), model)
    person_id, kid = client.new_id(), client.keys.new("person")
    sealed = codec.seal(client.keys, kid, name.encode(), topic=PERSONS, key=person_id, field="name")
    person = Person(person_id=person_id, collection=collection.uid, kid=kid, name=sealed, created=client.clock())
    templates = tuple(_template(client, collection, person, portrait) for portrait in portraits)
    try:
        outcome = await client.asker.ask(AddPerson(**heading, person=person, templates=templates))
    except Refused:
        client.keys.destroy((kid,))
        raise
    return str(outcome.resource)


async def add_face(
    client: Client, scope: str, person_id: str, portrait: Portrait, *, model: str, request_id: str
) -> str:
    """Add one template to a person; the persistedFaceId. Refused with the reason."""
    heading = client.heading(scope, request_id)
    if (known := client.asker.outcome(heading["operation_id"])) is not None:
        return str(known.resource)
    collection = of_model(existing(client, scope), model)
    person = _existing(client, collection, person_id)
    outcome = await client.asker.ask(AddFace(**heading, template=_template(client, collection, person, portrait)))
    return str(outcome.resource)


def _template(client: Client, collection: Collection, person: Person, portrait: Portrait) -> Template:
    face = client.new_id()
    vector = portrait.template.astype("<f4").tobytes()
    sealed = codec.seal(
        client.keys, person.kid, vector, topic=TEMPLATES, key=f"{person.person_id}/{face}", field="vector"
    )
    return Template(
        persisted_face_id=face,
        person_id=person.person_id,
        collection=collection.uid,
        kind=collection.kind,
        model=collection.model,
        vector=sealed,
        quality=portrait.quality,
        created=client.clock(),
    )


def _existing(client: Client, collection: Collection, person_id: str) -> Person:
    person = client.tables.live.persons.get(person_id)
    if person is None or person.collection != collection.uid:
        raise Refused(
            f"{collection.kind}/{collection.id} has no person {person_id}; see `faceline person list`", "PersonNotFound"
        )
    return person


def listed(client: Client, scope: str) -> list[Listed]:
    """The persons of a collection, in order of their creation; Refused where there is no such collection."""
    live = client.tables.live
    faces: dict[str, list[str]] = {}
    for key in live.templates:
        person, _, face = key.partition("/")
        faces.setdefault(person, []).append(face)
    persons = sorted(live.persons_of(existing(client, scope).uid), key=lambda each: (each.created, each.person_id))
    return [Listed(each, client.name_of(each), tuple(sorted(faces.get(each.person_id, ())))) for each in persons]


def found(client: Client, scope: str, who: str) -> Listed:
    """The person of a collection with that personId or name; Refused where there is none, or more than one."""
    persons = listed(client, scope)
    match [each for each in persons if who == each.person.person_id] or [each for each in persons if who == each.name]:
        case [one]:
            return one
        case []:
            raise Refused(f"{scope} has no person {who!r}; see `faceline person list`", "PersonNotFound")
        case several:
            ids = ", ".join(each.person.person_id for each in several)
            raise Refused(f"{len(several)} persons of {scope} are called {who!r}; give one of the ids {ids}")


async def delete(client: Client, scope: str, person_id: str, *, request_id: str) -> int:
    """Forget a person, whose key `control` destroys first; how many records were forgotten."""
    outcome = await client.asker.ask(DeletePerson(**client.heading(scope, request_id), person_id=person_id))
    return outcome.forgotten


async def delete_face(client: Client, scope: str, person_id: str, face: str, *, request_id: str) -> None:
    """Forget one template of a person."""
    command = DeleteFace(**client.heading(scope, request_id), person_id=person_id, persisted_face_id=face)
    await client.asker.ask(command)
