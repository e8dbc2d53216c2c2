"""One plausible record of each kind, so that a test says only what matters to it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from pipeline.changes import Change
from pipeline.codec import Received
from pipeline.records import (
    Box,
    Collection,
    CollectionKind,
    Face,
    Frame,
    FrameId,
    GalleryKind,
    Person,
    Recognition,
    Sealed,
    Shot,
    Template,
    Watch,
)
from pipeline.topology import Topic

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MODEL = "sface"
RECOGNITION = Recognition(MODEL)
BOX = Box(10, 20, 80, 90)
LANDMARKS = ((30.0, 50.0), (70.0, 50.0), (50.0, 70.0), (35.0, 90.0), (65.0, 90.0))
WATCH = Watch(collections=("largepersongroup/people",))


TEN_MINUTES_LATER = NOON + timedelta(minutes=10)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def sealed(kid: str = "k0") -> Sealed:
    return Sealed(kid, b"nonce", b"ciphertext")


def received(topic: Topic, change: Change[Any], offset: int = 0, partition: int = 0) -> Received:
    return Received(topic, partition, offset, NOON, change)


def frame(sequence: int = 0, *, previous: int | None = None, camera: str = "door", session: str = "s1") -> Frame:
    return Frame(
        id=FrameId(camera, session, sequence),
        previous=sequence - 1 if previous is None else previous,
        captured_at=NOON + seconds(sequence / 10),
        width=640,
        height=480,
        image=sealed(),
        watch=WATCH,
    )


def face(
    face_id: str = "f0",
    *,
    track: str | None = "t0",
    revision: int = 0,
    expires: datetime = TEN_MINUTES_LATER,
    watch: Watch = WATCH,
    model: str = MODEL,
) -> Face:
    """A face of a camera; of the API where `track` is None."""
    shot = None if track is None else Shot(frame=frame().id, track_id=track, revision=revision, watch=watch)
    return Face(
        face_id=face_id,
        expires=expires,
        captured_at=NOON,
        recognition=Recognition(model),
        template=sealed(),
        box=BOX,
        landmarks=LANDMARKS,
        quality=0.5,
        shot=shot,
    )


def collection(
    uid: str = "u0", given: str = "people", *, kind: CollectionKind = "largepersongroup", model: str = MODEL
) -> Collection:
    recognition = None if kind == "dynamicpersongroup" else Recognition(model)
    return Collection(uid=uid, kind=kind, id=given, recognition=recognition, name=sealed(f"key-of-{uid}"), created=NOON)


def person(person_id: str = "p0", *, uid: str = "u0", kid: str | None = None, created: datetime = NOON) -> Person:
    kid = kid or f"key-of-{person_id}"
    return Person(person_id=person_id, collection=uid, kid=kid, name=sealed(kid), created=created)


def template(
    face_id: str = "e0",
    person_id: str | None = "p0",
    *,
    uid: str = "u0",
    kid: str | None = None,
    kind: GalleryKind = "largepersongroup",
    model: str = MODEL,
) -> Template:
    return Template(
        persisted_face_id=face_id,
        person_id=person_id,
        collection=uid,
        kind=kind,
        recognition=Recognition(model),
        vector=sealed(kid or f"key-of-{person_id}"),
        quality=0.9,
        created=NOON,
    )
