"""Commands on persons: enrol, rename, forget."""

import msgspec

from pipeline.changes import Change, Put, Tombstone
from pipeline.identifiers import membership_key, template_key
from pipeline.records import DIRECTORY, AddPerson, DeletePerson, GalleryKind, Person, UpdatePerson
from pipeline.stages.control.faces import check_templates, put
from pipeline.stages.control.tables import (
    Consequence,
    RefusedError,
    Tables,
    collection_of,
    gallery_of,
    no_collection,
    person_of,
)
from pipeline.topology import MEMBERSHIPS, PERSONS, TEMPLATES, Topic

# Limits of the Face service's paid tier (face-contract 1.8 to 1.10).
PERSONS_IN: dict[GalleryKind, int] = {
    "persongroup": 10_000,
    "largepersongroup": 1_000_000,
    DIRECTORY: 20_000_000,
}


def add(state: Tables, command: AddPerson) -> Consequence:
    """Enrol a person, with templates that come along."""
    person, scope = command.person, command.scope
    uid = gallery_of(state, scope)
    if uid != person.collection:
        raise RefusedError(*no_collection(scope))
    kind: GalleryKind = DIRECTORY if uid == DIRECTORY else collection_of(state, scope).kind
    if kind not in PERSONS_IN:
        raise RefusedError("BadArgument", f"a {kind} has no persons of its own")
    if person.person_id in state.live.persons:
        raise RefusedError("PersonExists", f"a person {person.person_id} exists already")
    if state.live.count_of(uid) >= PERSONS_IN[kind]:
        raise RefusedError("QuotaExceeded", f"a {kind} has at most {PERSONS_IN[kind]} persons")
    check_templates(state, scope, person, command.templates)
    return Consequence(
        [(PERSONS, Put(person.person_id, person)), *(put(template) for template in command.templates)],
        person.person_id,
    )


def update(state: Tables, command: UpdatePerson) -> Consequence:
    """Put new words in the place of old ones."""
    person = person_of(state, command.scope, command.person_id)
    for words in (command.name, command.user_data):
        if words is not None and words.kid != person.kid:
            raise RefusedError("BadArgument", "the words are not sealed with their person's key")
    renamed = msgspec.structs.replace(
        person, name=command.name or person.name, user_data=command.user_data or person.user_data
    )
    return Consequence([(PERSONS, Put(person.person_id, renamed))], person.person_id)


def forget(state: Tables, command: DeletePerson) -> Consequence:
    """Destroy the key, then forget the person, every template and every membership."""
    person = person_of(state, command.scope, command.person_id)
    return Consequence(forgotten_person(state, person), person.person_id, (person.kid,), "person")


def forgotten_person(state: Tables, person: Person) -> list[tuple[Topic, Change[object]]]:
    """The person first, so that the live set names nobody by a template that still waits for its tombstone."""
    return [
        (PERSONS, Tombstone(person.person_id)),
        *(
            (TEMPLATES, Tombstone(template_key(person.person_id, face)))
            for face in state.live.faces_of(person.person_id)
        ),
        *(
            (MEMBERSHIPS, Tombstone(membership_key(group.uid, person.person_id)))
            for group in state.live.groups_of(person.person_id)
        ),
    ]
