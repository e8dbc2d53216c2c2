"""Persons: enrol one from photos, list them, rename one, forget one; in a group or in the PersonDirectory."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.operations import Refused, still_there, words
from pipeline.operations.client import Client
from pipeline.operations.collections import existing, for_recognition
from pipeline.operations.photos import Portrait
from pipeline.operations.templates import sealed_template
from pipeline.records import (
    DIRECTORY,
    AddPerson,
    DeletePerson,
    GalleryKind,
    Operation,
    Person,
    Recognition,
    UpdatePerson,
)
from pipeline.topology import PERSONS


@dataclass(frozen=True, slots=True)
class Shown:
    """A person with the words in the clear, None once the key is destroyed; `faces` are persistedFaceIds."""

    person: Person
    name: str | None
    user_data: str | None
    consent: str | None
    faces: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Gallery:
    """Where persons are enrolled: a group, or the PersonDirectory, which holds templates of every model."""

    uid: str
    kind: GalleryKind
    recognition: Recognition | None


def gallery(client: Client, scope: str) -> Gallery:
    """The gallery of a scope `kind/id` or `directory`; Refused where there is none."""
    if scope == DIRECTORY:
        return Gallery(DIRECTORY, DIRECTORY, None)
    collection = existing(client, scope)
    return Gallery(collection.uid, collection.kind, collection.recognition)


async def add(
    client: Client,
    scope: str,
    name: str,
    portraits: Sequence[Portrait] = (),
    *,
    recognition: Recognition | None = None,
    user_data: str | None = None,
    consent: str | None = None,
    request_id: str,
) -> str:
    """Enrol a person with one template per portrait, all of `recognition`; the personId. Refused with the reason."""
    heading = client.heading(scope, request_id)
    if (known := client.asker.outcome(heading["operation_id"])) is not None:
        return str(known.resource)
    name, user_data = words.checked_name(name), words.checked(user_data, "userData", words.USER_DATA)
    consent = words.checked(consent, "consent", words.CONSENT)
    home = gallery(client, scope)
    if recognition is not None and scope != DIRECTORY:
        for_recognition(existing(client, scope), recognition)
    person_id, kid = client.new_id(), await client.drawn_key("person")
    person = Person(
        person_id=person_id,
        collection=home.uid,
        kid=kid,
        name=words.seal(client, kid, name, topic=PERSONS, key=person_id, field="name"),
        user_data=words.seal(client, kid, user_data, topic=PERSONS, key=person_id, field="userData"),
        consent=words.seal(client, kid, consent, topic=PERSONS, key=person_id, field="consent"),
        created=client.clock(),
    )
    templates = tuple(
        sealed_template(client, home.uid, home.kind, portrait, recognition=of_model, kid=kid, person_id=person_id)
        for of_model, portrait in _modelled(portraits, recognition)
    )
    return await client.ask_with_key(AddPerson(**heading, person=person, templates=templates), kid, person_id)


def _modelled(portraits: Sequence[Portrait], recognition: Recognition | None) -> list[tuple[Recognition, Portrait]]:
    if portraits and recognition is None:
        raise ValueError("portraits come with the recognition model that measured them")
    return [] if recognition is None else [(recognition, portrait) for portrait in portraits]


def existing_person(client: Client, scope: str, person_id: str) -> Person:
    """A person of a group or of the PersonDirectory; Refused where there is none."""
    person = client.tables.live.persons.get(person_id)
    if person is None or person.collection != gallery(client, scope).uid:
        gallery(client, scope)
        raise Refused(f"{scope} has no person {person_id}; see `faceline person list`", "PersonNotFound")
    return person


def shown(client: Client, scope: str, person_id: str) -> Shown:
    """A person with the words; Refused where there is none."""
    return _shown(client, existing_person(client, scope, person_id))


def listed(client: Client, scope: str, *, start: str = "", top: int | None = None) -> list[Shown]:
    """The persons of a gallery in order of their ids, at most `top` of those behind `start`."""
    persons = client.tables.live.persons_of(gallery(client, scope).uid, start=start, top=top)
    return [_shown(client, person) for person in persons]


def found(client: Client, scope: str, who: str) -> Shown:
    """The person of a gallery with that personId or name; Refused where there is none, or more than one."""
    persons = listed(client, scope)
    match [each for each in persons if who == each.person.person_id] or [each for each in persons if who == each.name]:
        case [one]:
            return one
        case []:
            raise Refused(f"{scope} has no person {who!r}; see `faceline person list`", "PersonNotFound")
        case several:
            ids = ", ".join(each.person.person_id for each in several)
            raise Refused(f"{len(several)} persons of {scope} are called {who!r}; give one of the ids {ids}")


async def update(
    client: Client,
    scope: str,
    person_id: str,
    *,
    name: str | None = None,
    user_data: str | None = None,
    request_id: str,
) -> None:
    """Give a person another name or other userData; what is not given stays. Refused where neither is."""
    if not name and not user_data:
        raise Refused("'name' and 'userData' are both empty: give one of them")
    person = existing_person(client, scope, person_id)
    kid, data = person.kid, words.checked(user_data, "userData", words.USER_DATA)
    with still_there("PersonNotFound", f"person {person_id} was deleted"):
        command = UpdatePerson(
            **client.heading(scope, request_id),
            person_id=person_id,
            name=words.seal(client, kid, name and words.checked_name(name), topic=PERSONS, key=person_id, field="name"),
            user_data=words.seal(client, kid, data, topic=PERSONS, key=person_id, field="userData"),
        )
    await client.asker.ask(command)


async def delete(client: Client, scope: str, person_id: str, *, request_id: str) -> Operation:
    """Forget a person, whose key `control` destroys first; what came of it, once nobody can name the person."""
    return await client.asker.ask(DeletePerson(**client.heading(scope, request_id), person_id=person_id))


async def delete_found(client: Client, scope: str, who: str, *, request_id: str) -> Operation:
    """Forget the person of a gallery with that personId or name, as `delete` does."""
    try:
        person_id = found(client, scope, who).person.person_id
    except Refused:
        # Who is not there any more may just be being forgotten: that nobody is there is told once it is so.
        await client.asker.effective()
        raise
    return await delete(client, scope, person_id, request_id=request_id)


def _shown(client: Client, person: Person) -> Shown:
    key = person.person_id
    return Shown(
        person,
        words.opened(client, person.name, topic=PERSONS, key=key, field="name"),
        words.opened(client, person.user_data, topic=PERSONS, key=key, field="userData"),
        words.opened(client, person.consent, topic=PERSONS, key=key, field="consent"),
        tuple(client.tables.live.faces_of(key)),
    )
