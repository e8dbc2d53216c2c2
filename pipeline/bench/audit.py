"""An independent reader of the topics: what was seen, when the broker had it, and what came twice."""

import asyncio
from bisect import bisect_right, insort
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pipeline import wiring
from pipeline.bench.deployment import Deployed
from pipeline.changes import Put, Tombstone
from pipeline.codec import Received
from pipeline.records import Face, Frame, FrameId, Identification, Ledger, Operation
from pipeline.topology import FACES, Topic
from pipeline.views import Follower
from pipeline.wiring.asking import reader

ANSWER_LOOKS = 300


@dataclass(frozen=True, slots=True)
class Taken:
    """A sampled frame: when it was captured, and when the broker had it."""

    captured_at: datetime
    appended_at: datetime


@dataclass(frozen=True, slots=True)
class Published:
    """A face as detect published it, and when the broker had it."""

    face: Face
    appended_at: datetime


@dataclass(frozen=True, slots=True)
class Told:
    """An identification, when the broker had it, and when a reader of committed records got it."""

    identification: Identification
    appended_at: datetime
    read_at: datetime


@dataclass(frozen=True, slots=True)
class Progress:
    """What detect said of a session: the last frame it had processed, and when the broker heard of it."""

    session: str
    last: int
    appended_at: datetime


@dataclass(slots=True)
class Audit:
    """Everything that was read, in its order; `times` says when the broker had something of each stage.

    `alive` says when the faces end that have no tombstone, `answers` how often each operation was answered.
    """

    frames: dict[FrameId, Taken] = field(default_factory=dict)
    faces: list[Published] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    progress: list[Progress] = field(default_factory=list)
    alive: dict[str, datetime] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    times: dict[str, list[datetime]] = field(default_factory=lambda: defaultdict(list))

    def take(self, received: Received) -> None:
        at = received.appended_at
        match received.change:
            case Put(value=Frame() as frame):
                self.frames[frame.id] = Taken(frame.captured_at, at)
            case Put(value=Face() as face):
                self.faces.append(Published(face, at))
                self.alive[face.face_id] = face.expires
            case Put(value=Identification() as told):
                self.told.append(Told(told, at, datetime.now(UTC)))
                insort(self.times["identify"], at)
            case Put(value=Ledger(stage="detect") as ledger):
                self.progress.append(Progress(ledger.session, max(end for _, end in ledger.processed), at))
                insort(self.times["detect"], at)
            case Put(value=Operation(outcome="erasing")):
                insort(self.times["control"], at)
            case Put(value=Operation() as operation):
                self.answers[operation.operation_id] += 1
                insort(self.times["control" if operation.erasure is None else "erase"], at)
            case Tombstone(key=face_id) if received.topic is FACES:
                self.alive.pop(face_id, None)
                insort(self.times["expire"], at)
            case _:
                pass

    def first(self, stage: str, after: datetime) -> datetime | None:
        """When the broker first had something of a stage after that moment; None as long as it had nothing."""
        times = self.times[stage]
        place = bisect_right(times, after)
        return times[place] if place < len(times) else None

    def unidentified(self) -> int:
        """Faces of cameras for whose track nothing as new was ever told."""
        newest: dict[str, int] = {}
        for each in self.told:
            told = each.identification
            newest[told.track_id] = max(newest.get(told.track_id, -1), told.revision)
        shots = [each.face.shot for each in self.faces if each.face.shot is not None]
        return sum(newest.get(shot.track_id, -1) < shot.revision for shot in shots)

    async def answered(self) -> None:
        """Wait until every face is identified, half a minute at most."""
        for _ in range(ANSWER_LOOKS):
            if not self.unidentified():
                return
            await asyncio.sleep(0.1)

    def overdue(self, now: datetime) -> int:
        """Faces whose end has passed, and which have no tombstone."""
        return sum(end <= now for end in self.alive.values())

    def duplicated(self) -> int:
        """Identifications that were told again: the same revision of the same track."""
        counts = Counter((each.identification.track_id, each.identification.revision) for each in self.told)
        return sum(counts.values()) - len(counts)


@asynccontextmanager
async def audited(
    deployment: Deployed, topics: Sequence[Topic], also: Callable[[Received], None] = lambda _: None
) -> AsyncIterator[tuple[Audit, Follower]]:
    """Read these topics from their beginning, and on while the block runs; `also` is told what the audit is."""
    audit = Audit()

    def take(received: Received) -> None:
        audit.take(received)
        also(received)

    access = wiring.kafka_access(deployment.settings, deployment.home)
    settings = deployment.settings
    follower = Follower(reader(access), settings.deployment(), topics, take, clock=settings.now)
    try:
        await follower.start()
        running = asyncio.create_task(follower.run())
        try:
            yield audit, follower
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
    finally:
        await follower.stop()
