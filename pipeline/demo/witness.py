"""Reads the demo's topics as anybody could, keeps what they say, and tells the screen as it comes."""

import asyncio
from collections.abc import Callable

from pipeline.changes import Put
from pipeline.codec import Received
from pipeline.demo.screen import Gone, Passage, Screen
from pipeline.operations.watch import latency_ms
from pipeline.records import Face, Frame, Identification
from pipeline.topology import FACES, FRAMES, IDENTIFICATIONS, PERSONS, TEMPLATES

TOPICS = (FRAMES, FACES, IDENTIFICATIONS, PERSONS, TEMPLATES)


class Witness:
    """What has been told so far. `name_of` finds the name that belongs to an identification, while there is one.

    `frames` counts those that were published; `passages` holds every identification in its order, `tracks` those that
    stand, by track; `faces` the faceIds that have not ended, `ended` the tombstones of the others; `gone` every
    tombstone but those of faces, in their order; `ghosts` counts identifications that name somebody after the
    tombstones of that person. One camera, so one partition: the order of arrival is the order of the topic.
    """

    def __init__(self, name_of: Callable[[Identification], str | None], screen: Screen) -> None:
        self.frames = 0
        self.tracks: dict[str, Passage] = {}
        self.faces: dict[str, Face] = {}
        self.ended: dict[str, Gone] = {}
        self.gone: list[Gone] = []
        self.passages: list[Passage] = []
        self._name_of = name_of
        self._screen = screen
        self.ghosts = 0
        self._withdrawn: set[str] = set()
        self._news = asyncio.Event()
        self._failed: BaseException | None = None

    def take(self, received: Received) -> Passage | None:
        """Learn from one record; the passage, where it is an identification."""
        self._news.set()
        match received.change:
            case Put(key=track, value=Identification() as told):
                return self._identified(received, track, told)
            case Put(key=face_id, value=Face() as face):
                self.faces[face_id] = face
            case Put(value=Frame()):
                self.frames += 1
            case Put():
                pass
            case tombstone:
                at = received.partition, received.offset, received.appended_at
                self._ended(Gone(received.topic.name, tombstone.key, *at))
        return None

    def _identified(self, received: Received, track: str, told: Identification) -> Passage:
        passage = Passage(
            track=track,
            revision=told.revision,
            camera=told.camera,
            face=told.face_id,
            captured_at=told.captured_at,
            person=told.person_id,
            name=self._name_of(told),
            similarity=told.similarity,
            latency_ms=latency_ms(received, told),
        )
        self.ghosts += passage.person in self._withdrawn
        self.tracks[track] = passage
        self.passages.append(passage)
        self._screen.passage(passage)
        return passage

    def _ended(self, gone: Gone) -> None:
        if gone.topic == FACES.name:
            self.faces.pop(gone.key, None)
            self.ended[gone.key] = gone
            return
        self.gone.append(gone)
        self._screen.tombstone(gone)
        if gone.topic == IDENTIFICATIONS.name:
            before = self.tracks.pop(gone.key, None)
            self._screen.forgotten(gone.key)
            if before is not None and before.person is not None:
                self._withdrawn.add(before.person)

    def named(self, person: str) -> list[Passage]:
        """The identifications that stand and name a person."""
        return [passage for passage in self.tracks.values() if passage.person == person]

    def fail(self, error: BaseException) -> None:
        """Nothing more will come: whoever waits learns why."""
        self._failed = error
        self._news.set()

    async def until(self, holds: Callable[[], object], seconds: float) -> bool:
        """Whether something has come to hold within so many seconds; raises what ended the reading."""
        try:
            async with asyncio.timeout(seconds):
                while not holds():
                    if self._failed is not None:
                        raise self._failed
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return False
        return True
