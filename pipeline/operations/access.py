"""The answer to an access request: what is held about a person, where, and until when."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

import msgspec

from pipeline.identifiers import template_key
from pipeline.operations import persons, words
from pipeline.operations.client import Client
from pipeline.records import DIRECTORY, Identification, Template
from pipeline.topology import IDENTIFICATIONS, MEMBERSHIPS, PERSONS, TEMPLATES, Topic

UNTIL_DELETED: Final = "until the person is deleted"


class Entry(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One thing that is held: on which topic, under which key, since when, until when."""

    topic: str
    key: str
    since: datetime
    until: str


class Enrolled(Entry, frozen=True, kw_only=True, rename="camel"):
    """A template: numbers from which the face cannot be drawn again, sealed with the person's key."""

    persisted_face_id: str
    recognition_model: str
    model_pack: str
    quality: float
    user_data: str | None = None
    also: str = "the search index, under a secret rotation, until then as well"


class Passage(Entry, frozen=True, kw_only=True, rename="camel"):
    """An identification that names the person."""

    camera: str
    captured_at: datetime
    face_id: str
    similarity: float | None


class Held(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """All of it. `images` says the one thing that people ask for first."""

    person_id: str
    gallery: str
    name: str | None
    user_data: str | None
    consent: str | None
    person: Entry
    templates: tuple[Enrolled, ...]
    groups: tuple[Entry, ...]
    identifications: tuple[Passage, ...]
    images: str = "none: an image lives for 60 seconds at most, and only until it was looked at"


def held(client: Client, scope: str, person_id: str, told: Iterable[Identification]) -> Held:
    """What is held about a person; `told` are the identifications that the topic holds, of whomever.

    Refused where there is no such person.
    """
    shown = persons.shown(client, scope, person_id)
    live = client.tables.live
    collection = live.collections.get(shown.person.collection)
    groups = live.groups_of(person_id) if shown.person.collection == DIRECTORY else []
    return Held(
        person_id=person_id,
        gallery=scope if collection is None else f"{collection.kind}/{collection.id}",
        name=shown.name,
        user_data=shown.user_data,
        consent=shown.consent,
        person=_entry(PERSONS, person_id, shown.person.created),
        templates=tuple(
            _enrolled(client, live.templates[template_key(person_id, face)], person_id) for face in shown.faces
        ),
        groups=tuple(_entry(MEMBERSHIPS, f"{group.uid}/{person_id}", group.created) for group in groups),
        identifications=tuple(_passage(each) for each in told if each.person_id == person_id),
    )


def as_json(held: Held) -> str:
    """The answer as indented JSON, for people and programs."""
    return msgspec.json.format(msgspec.json.encode(held), indent=2).decode()


def _entry(topic: Topic, key: str, since: datetime) -> Entry:
    return Entry(topic=topic.name, key=key, since=since, until=UNTIL_DELETED)


def _enrolled(client: Client, template: Template, person_id: str) -> Enrolled:
    key = template_key(person_id, template.persisted_face_id)
    return Enrolled(
        topic=TEMPLATES.name,
        key=key,
        since=template.created,
        until=UNTIL_DELETED,
        persisted_face_id=template.persisted_face_id,
        recognition_model=template.recognition.name,
        model_pack=template.recognition.pack,
        quality=template.quality,
        user_data=words.opened(client, template.user_data, topic=TEMPLATES, key=key, field="userData"),
    )


def _passage(told: Identification) -> Passage:
    return Passage(
        topic=IDENTIFICATIONS.name,
        key=told.track_id,
        since=told.identified_at,
        until=f"{told.expires.isoformat()}, or {UNTIL_DELETED}",
        camera=told.camera,
        captured_at=told.captured_at,
        face_id=told.face_id,
        similarity=told.similarity,
    )
