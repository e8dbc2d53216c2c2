"""One plausible record of each kind, so that a test says only what matters to it."""

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pipeline.changes import Change
from pipeline.codec import Received
from pipeline.records import (
    Bound,
    Box,
    Collection,
    CollectionKind,
    Face,
    Frame,
    FrameId,
    GalleryKind,
    Passed,
    Person,
    Receipt,
    Recognition,
    Sealed,
    Shot,
    Span,
    Template,
    Verified,
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


def received(topic: Topic, change: Change[Any], offset: int = 0, partition: int = 0, at: datetime = NOON) -> Received:
    return Received(topic, partition, offset, at, change)


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


def receipt(erasure: str = "e0", *, kind: Literal["face", "person", "collection"] = "person") -> Receipt:
    """A person with three templates was erased; one identify partition passed, and one was fenced."""
    return Receipt(
        erasure=erasure,
        principal="operator/jane",
        kind=kind,
        subject="p0",
        requested=NOON,
        effective=NOON + seconds(0.25),
        counts={"persons": 1, "templates": 3},
        keys=("0f" * 16,),
        tombstones=(
            Span(topic="persons", partition=0, first=41, last=41, count=1),
            Span(topic="templates", partition=0, first=17, last=19, count=3),
        ),
        passed=(
            Passed(partition=0, positions={"persons/0": 42, "templates/0": 17}, at=NOON + seconds(0.1)),
            Passed(partition=1, positions={"persons/0": 42}, at=NOON + seconds(0.2), fenced=True),
        ),
        bounds=(
            Bound(store="kafka", seconds=396.0, why="segments roll after 300 s"),
            Bound(store="backups", why="not Faceline's"),
        ),
    )


def clean(erasure: str = "e0", *, store: str = "kafka", after: float = 380.5) -> Verified:
    at = NOON + seconds(0.25 + after)
    how = "no record under a destroyed key is left in any segment file"
    return Verified(erasure=erasure, store=store, at=at, clean=True, seconds=after, how=how)
