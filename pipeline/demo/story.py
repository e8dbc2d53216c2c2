"""The story: one person is enrolled, others join, the first is forgotten, a face ends. Each part is waited for."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

from pipeline.demo import Plan
from pipeline.demo.screen import Passage, Screen, clock
from pipeline.demo.snapshots import Snapshots
from pipeline.demo.witness import Witness
from pipeline.operations import Refused, Unanswered
from pipeline.operations.album import Wanted
from pipeline.topology import IDENTIFICATIONS, PERSONS, TEMPLATES

FACE_TTL = 60  # seconds: the shortest there is
SAMPLE_PATIENCE = 45.0  # seconds; everybody passes at least once in the 24 of the clip
OWN_PATIENCE = 120.0
TOMBSTONE_PATIENCE = 30.0
PICTURE_PATIENCE = 30.0
NAMED_TOGETHER = 4  # people that fit into a title
PAUSE = 4.0  # seconds in which an audience reads what it has just seen
LONG_PAUSE = 10.0  # and sees both once more; in the clip, the first one is away when it is over


class Registrar(Protocol):
    """Whom the story asks to enrol and to forget."""

    async def open(self) -> None: ...

    async def enrol(self, wanted: Wanted) -> str:
        """The personId; Refused where the photos are not usable."""
        ...

    async def indexed(self) -> None:
        """Wait until everybody who is enrolled can be recognised."""
        ...

    async def forget(self, person: str) -> int:
        """How many records were forgotten."""
        ...


@dataclass(slots=True)
class Story:
    """`roll` starts the camera, `began` is when the demo did; `missed` tells afterwards what should have been seen."""

    plan: Plan
    register: Registrar
    witness: Witness
    snapshots: Snapshots
    screen: Screen
    roll: Callable[[], Awaitable[object]]
    began: datetime
    missed: list[str] = field(default_factory=list)
    chapters: int = 0

    async def play(self, people: Sequence[Wanted]) -> None:
        """Play all of it; Refused where the first person's photos are not usable, Unanswered without a picture."""
        first, *others = people
        person = await self._one_is_enrolled(first)
        if others:
            await self._others_join(others)
        await self._one_is_forgotten(first, person)
        await self._a_face_ends()

    async def _one_is_enrolled(self, first: Wanted) -> str:
        title = f"{first.name} is enrolled from a photo. Whoever else passes is unknown."
        self._chapter(title)
        self.screen.waiting(f"enrolling {first.name}")
        await self.register.open()
        person = await self._enrol(first)
        await self.register.indexed()
        await self.roll()
        self.snapshots.begin(title, datetime.now(UTC))
        await self._picture()
        if await self._seen(partial(self.witness.named, person), f"{first.name} before the camera"):
            seconds = (datetime.now(UTC) - self.began).total_seconds()
            self.screen.say(f"first name {seconds:.1f} s after the demo began")
        if self.plan.sample:
            await self._seen(partial(self._unknown_since, self.began), "somebody who is not enrolled")
        await asyncio.sleep(PAUSE)
        return person

    async def _others_join(self, others: Sequence[Wanted]) -> None:
        title = f"{_listed(others)} {'joins' if len(others) == 1 else 'join'}, while the camera runs."
        self._chapter(title)
        joined = [(each, person) for each in others if (person := await self._enrol_or_tell(each)) is not None]
        await self.register.indexed()
        self.snapshots.begin(title, datetime.now(UTC))
        for each, person in joined if self.plan.sample else joined[:1]:
            await self._seen(partial(self.witness.named, person), f"{each.name} before the camera")
        await asyncio.sleep(LONG_PAUSE)

    async def _one_is_forgotten(self, first: Wanted, person: str) -> None:
        self._chapter(f"{first.name} is deleted. The key is destroyed first; then the tombstones travel.")
        forgotten = await self.register.forget(person)
        acknowledged = datetime.now(UTC)
        if await self._seen(partial(self._is_forgotten, person), "the tombstones", TOMBSTONE_PATIENCE):
            self.screen.say(f"forgotten: {forgotten} records of the tables, and every identification of this person")
        self.snapshots.begin(f"{first.name} is deleted.", acknowledged)
        if self.plan.sample:
            await self._seen(partial(self._unknown_since, acknowledged), f"{first.name}, who is unknown now")

    async def _a_face_ends(self) -> None:
        if not self.witness.faces:
            self.screen.say("nobody was seen, so no faceId can end")
            return
        self._chapter(f"A faceId lives {FACE_TTL} s here at most; then comes its tombstone, and its key is destroyed.")
        face = min(self.witness.faces.values(), key=lambda each: each.expires)
        self.screen.say(f"faceId {face.face_id}, seen {clock(face.captured_at)}, ends {clock(face.expires)}")
        self.screen.waiting("waiting for the end of this faceId", face.expires)
        patience = max(0.0, (face.expires - datetime.now(UTC)).total_seconds()) + TOMBSTONE_PATIENCE
        if not await self.witness.until(lambda: face.face_id in self.witness.ended, patience):
            self._miss("the tombstone of a faceId", patience)
            return
        gone = self.witness.ended[face.face_id]
        late = (gone.appended_at - face.expires).total_seconds() * 1000
        self.screen.tombstone(gone)
        self.screen.say(f"appended {clock(gone.appended_at)}, {late:.0f} ms after its time was over")

    async def _enrol(self, wanted: Wanted) -> str:
        began = time.monotonic()
        self.screen.waiting(f"enrolling {wanted.name}")
        person = await self.register.enrol(wanted)
        self.screen.step(f"enrol {wanted.name}", time.monotonic() - began)
        return person

    async def _enrol_or_tell(self, wanted: Wanted) -> str | None:
        try:
            return await self._enrol(wanted)
        except Refused as refusal:
            self.screen.say(str(refusal))
            return None

    def _chapter(self, title: str) -> None:
        self.chapters += 1
        self.screen.chapter(f"{self.chapters}  {title}")

    async def _picture(self) -> None:
        self.screen.waiting("waiting for a picture from the camera")
        if not await self.witness.until(lambda: self.witness.frames, PICTURE_PATIENCE):
            raise Unanswered(f"no picture came from the camera within {PICTURE_PATIENCE:.0f} s: see capture-demo.jsonl")

    async def _seen(self, holds: Callable[[], object], what: str, patience: float | None = None) -> bool:
        if patience is None:
            patience = SAMPLE_PATIENCE if self.plan.sample else OWN_PATIENCE
        self.screen.waiting(f"waiting for {what}")
        if await self.witness.until(holds, patience):
            return True
        self._miss(what, patience)
        return False

    def _miss(self, what: str, patience: float) -> None:
        self.missed.append(what)
        self.screen.say(f"within {patience:.0f} s nothing was seen of {what}")

    def _unknown_since(self, moment: datetime) -> list[Passage]:
        return [each for each in self.witness.passages if each.person is None and each.captured_at >= moment]

    def _is_forgotten(self, person: str) -> bool:
        topics = {gone.topic for gone in self.witness.gone}
        told = {PERSONS.name, TEMPLATES.name} <= topics and not self.witness.named(person)
        return told and (IDENTIFICATIONS.name in topics or not self._was_named(person))

    def _was_named(self, person: str) -> bool:
        return any(each.person == person for each in self.witness.passages)


def _listed(people: Sequence[Wanted]) -> str:
    *most, last = [each.name for each in people]
    if len(people) > NAMED_TOGETHER:
        return f"{len(people)} others"
    return f"{', '.join(most)} and {last}" if most else last
