"""Records of one camera, as its topics would hold them, and a screen that remembers what it was told."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from pipeline.changes import Change, Put, Tombstone
from pipeline.codec import Received
from pipeline.demo.screen import Gone, Passage
from pipeline.records import Box, Face, Frame, FrameId, Identification, Recognition, Sealed, Shot, Watch
from pipeline.topology import FACES, FRAMES, IDENTIFICATIONS, Topic

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
WATCH = Watch(collections=("largepersongroup/people",), face_ttl=60)
SEALED = Sealed("kid", b"nonce", b"ciphertext")
_offsets = count()


def received(topic: Topic, change: Change[Any], at: datetime = NOW) -> Received:
    return Received(topic, 0, next(_offsets), at, change)


def frame_id(number: int) -> FrameId:
    return FrameId("demo", "session", number)


def frame(number: int) -> Received:
    at = NOW + timedelta(seconds=number)
    shown = Frame(
        id=frame_id(number), previous=number - 1, captured_at=at, width=640, height=360, image=SEALED, watch=WATCH
    )
    return received(FRAMES, Put("demo", shown), at)


def face(name: str, number: int, track: str = "track", box: Box = Box(100, 80, 120, 130)) -> Received:  # noqa: B008
    at = NOW + timedelta(seconds=number)
    seen = Face(
        face_id=name,
        expires=at + timedelta(seconds=60),
        captured_at=at,
        recognition=Recognition("dlib"),
        template=SEALED,
        box=box,
        landmarks=((0.0, 0.0),) * 5,
        quality=0.5,
        shot=Shot(frame=frame_id(number), track_id=track, revision=0, watch=WATCH),
    )
    return received(FACES, Put(name, seen), at)


def identification(track: str, face_id: str, number: int, person: str | None) -> Received:
    at = NOW + timedelta(seconds=number)
    told = Identification(
        track_id=track,
        revision=0,
        camera="demo",
        face_id=face_id,
        face_expires=at + timedelta(seconds=60),
        captured_at=at,
        identified_at=at,
        expires=at + timedelta(hours=24),
        decision="unknown" if person is None else "identified",
        model="dlib",
        engine="milvus",
        threshold=0.45,
        person_id=person,
        collection=None if person is None else "uid",
        similarity=0.3 if person is None else 0.9,
    )
    return received(IDENTIFICATIONS, Put(track, told), at + timedelta(milliseconds=85))


def tombstone(topic: Topic, key: str, number: int) -> Received:
    return received(topic, Tombstone(key), NOW + timedelta(seconds=number))


@dataclass
class Noted:
    """A screen that only remembers."""

    chapters: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    awaited: list[str] = field(default_factory=list)
    passages: list[Passage] = field(default_factory=list)
    gone: list[Gone] = field(default_factory=list)
    withdrawn: list[str] = field(default_factory=list)

    def step(self, name: str, seconds: float) -> None:
        self.steps.append(name)

    def chapter(self, title: str) -> None:
        self.chapters.append(title)

    def say(self, text: str) -> None:
        self.said.append(text)

    def waiting(self, text: str, until: datetime | None = None) -> None:
        self.awaited.append(text)

    def passage(self, passage: Passage) -> None:
        self.passages.append(passage)

    def tombstone(self, gone: Gone) -> None:
        self.gone.append(gone)

    def forgotten(self, track: str) -> None:
        self.withdrawn.append(track)

    def archive(self) -> None:
        """It remembers everything anyhow."""
