"""Call a deletion done when nobody can name the person any more, and see to it that what is left of her goes.

The tables have forgotten already, and the key is destroyed: control does both in one transaction. Here is waited until
every partition of identify has told, by its own transactional producer, that it has taken the tombstones into account;
from one that is silent for too long, the partition is taken. `tests/protocol` shows why each part of that is needed.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec

from pipeline.changes import Put
from pipeline.codec import Received, Unusable
from pipeline.erasing.bounds import NUDGE_S, NUDGED, PURGED
from pipeline.receipts import Head, Signer, appended
from pipeline.records import AuditEntry, Bound, Erasure, Operation, Passed
from pipeline.stages.contract import Emit, Nudge, Output, Purge, TakeOver
from pipeline.stages.receipting import done, events, span
from pipeline.topology import (
    AUDIT,
    CONTROL,
    DETECT,
    ERASE,
    OPERATIONS,
    TOPICS,
    Node,
    Topic,
)
from pipeline.views import LiveSet, Positions, Tombstones, Watermarks

PATIENCE = timedelta(seconds=3)
# How often it is looked while a deletion waits, though nothing is heard.
AGAIN = timedelta(milliseconds=500)
# Kafka keeps tombstones for a day; an eraser that was away for longer finds none, but has read all that is left.
SEEN_BY_THEN = timedelta(hours=12)
# As long as `operations` keeps them.
REMEMBERED = timedelta(hours=48)
# What a deletion leaves behind is in segments of these; the first append after their time rolls them.
ROLLED: tuple[Topic, ...] = tuple(topic for topic in TOPICS if topic.name in NUDGED | PURGED)
PURGE_EVERY = timedelta(seconds=2)


@dataclass(slots=True)
class Waiting:
    """A deletion that is not done yet; `since` is when this process had seen all its tombstones, and began to wait."""

    operation: Operation
    erasure: Erasure
    since: datetime | None = None


@dataclass(slots=True)
class Erasing:
    """One partition of `operations`. Handed from step to step; changed in place."""

    waiting: dict[str, Waiting] = field(default_factory=dict)
    done: dict[str, datetime] = field(default_factory=dict)
    nudges: set[tuple[datetime, Topic]] = field(default_factory=set)
    purge_due: datetime | None = None
    head: Head | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """Operations as they were read; the bounds of this moment, where a receipt is to be signed."""

    inputs: Sequence[Received]
    bounds: tuple[Bound, ...] = ()


@dataclass(frozen=True, slots=True)
class Erase:
    """`partitions` is how many `faces` has. The views are fed by `follow`, and stand still during a tick.

    `bounds` may block; it says what the settings in force promise of each store. `hurry` is what part of the map's own
    time a segment has until it may roll: 1, but on a cluster whose segments are shorter.
    """

    partitions: int
    live: LiveSet
    signer: Signer
    bounds: Callable[[], tuple[Bound, ...]]
    patience: timedelta = PATIENCE
    nudge_every: timedelta = timedelta(seconds=NUDGE_S)
    hurry: float = 1.0
    positions: Positions = field(default_factory=Positions)
    watermarks: Watermarks = field(default_factory=Watermarks)
    tombstones: Tombstones = field(default_factory=Tombstones)
    batch: int = 500

    @property
    def node(self) -> Node:
        return ERASE

    def follow(self, received: Received) -> None:
        self.live.apply(received)
        self.positions.apply(received)
        self.watermarks.apply(received)
        self.tombstones.apply(received)

    def begin(self) -> Erasing:
        return Erasing()

    def replay(self, state: Erasing, received: Received) -> Erasing:
        match received.change:
            case Put(value=AuditEntry() as entry):
                state.head = Head.after(entry)
            case Put(value=Operation() as operation):
                self._learn(state, operation)
            case _:  # what retention takes, nobody waits for any more
                pass
        return state

    def prepare(self, inputs: Sequence[Received]) -> Told:
        return Told(inputs, self.bounds() if any(map(done, inputs)) else ())

    def step(self, state: Erasing, prepared: Told, now: datetime) -> tuple[Erasing, list[Output | Unusable]]:
        """Begin to wait for what is asked, and sign for what is done: it was acknowledged, and is read for once."""
        outputs: list[Output | Unusable] = []
        for received in prepared.inputs:
            state = self.replay(state, received)
            for event in events(received, prepared.bounds):
                entry = appended(state.head or Head(received.partition), event, now, self.signer)
                state.head = Head.after(entry)
                outputs.append(Emit(AUDIT, Put(event.erasure, entry)))
        return state, outputs

    def may_pass_over(self, received: Received) -> bool:
        """Only what nobody waits for: a deletion that is not seen through is never done, or gets no receipt."""
        match received.change:
            case Put(value=Operation(erasure=erasure, found=found)):
                return erasure is None and not found
            case _:
                return True

    def pass_over(self, state: Erasing, received: Received, now: datetime) -> tuple[Erasing, list[Output]]:
        """What may be passed over is nothing here to begin with."""
        return state, []

    def _learn(self, state: Erasing, operation: Operation) -> None:
        if operation.erasure is None or operation.operation_id in state.done:
            return
        if operation.outcome == "erasing":
            state.waiting.setdefault(operation.operation_id, Waiting(operation, operation.erasure))
        else:
            self._finish(state, operation)

    def _finish(self, state: Erasing, operation: Operation) -> None:
        state.waiting.pop(operation.operation_id, None)
        state.done[operation.operation_id] = operation.finished
        for topic in ROLLED:
            state.nudges.add((self._nudge_due(topic, operation.finished), topic))

    def tick(self, state: Erasing, now: datetime) -> tuple[Erasing, list[Output], datetime | None]:
        outputs: list[Output] = []
        late: set[int] = set()
        for waiting in list(state.waiting.values()):
            behind = self._behind(waiting, now)
            if behind is None:
                continue
            waiting.since = waiting.since or now
            if not behind:
                outputs += self._acknowledged(state, waiting, now)
            elif now - waiting.since >= self.patience:
                late.update(behind)
            else:
                late.update(partition for partition in behind if self._newest_by(partition) == "erase")
        outputs += [TakeOver(partition, heard=self._newest_by(partition) == "identify") for partition in sorted(late)]
        outputs += self._upkeep(state, now)
        return state, outputs, self._due(state, now)

    def _behind(self, waiting: Waiting, now: datetime) -> list[int] | None:
        """The partitions that may still name the person; None while not even the tombstones have all been seen."""
        wanted = self._wanted(waiting.operation, now)
        if wanted is None:
            return None
        return [partition for partition in range(self.partitions) if self.watermarks.behind(partition, wanted)]

    def _wanted(self, operation: Operation, now: datetime) -> Mapping[str, int] | None:
        spans = self.tombstones.of(operation.operation_id)
        if sum(span.count for span in spans.values()) >= operation.forgotten:
            return {place: span.last + 1 for place, span in spans.items()}
        if now - operation.finished < SEEN_BY_THEN or self._is_leaving(operation):
            return None
        # Cleaned away: whoever has come as far as this view has read what is left of them.
        return dict(self.positions.behind)

    def _is_leaving(self, operation: Operation) -> bool:
        """Whether control has not yet come to the end of a collection that it forgets in portions."""
        subject = "" if operation.erasure is None else operation.erasure.subject
        return any(
            (self.live.count_of(subject), self.live.face_count_of(subject), self.live.members_of(subject, top=1))
        )

    def _newest_by(self, partition: int) -> str | None:
        newest = self.watermarks.newest.get(partition)
        return None if newest is None else newest.by

    def _acknowledged(self, state: Erasing, waiting: Waiting, now: datetime) -> list[Output]:
        operation = waiting.operation
        spans = self.tombstones.of(operation.operation_id)
        erasure = msgspec.structs.replace(
            waiting.erasure,
            tombstones=tuple(span(place, seen) for place, seen in sorted(spans.items())),
            passed=tuple(
                Passed(partition=partition, positions=told.positions, at=told.at, fenced=told.by == "erase")
                for partition, told in sorted(self.watermarks.newest.items())
            ),
        )
        done = msgspec.structs.replace(operation, outcome="succeeded", finished=now, erasure=erasure)
        self._finish(state, done)
        return [Emit(OPERATIONS, Put(done.operation_id, done))]

    def _upkeep(self, state: Erasing, now: datetime) -> Iterable[Output]:
        for old in [operation for operation, finished in state.done.items() if finished <= now - REMEMBERED]:
            del state.done[old]
        due = {(when, topic) for when, topic in state.nudges if when <= now}
        state.nudges -= due
        outputs: list[Output] = [Nudge(topic) for topic in ROLLED if topic in {topic for _, topic in due}]
        if state.purge_due is None or state.purge_due <= now:
            state.purge_due = now + PURGE_EVERY
            outputs += [Purge(DETECT), Purge(CONTROL)]
        return outputs

    def _nudge_due(self, topic: Topic, finished: datetime) -> datetime:
        """When an append rolls the segment that holds a tombstone of that moment; many share one nudge."""
        every = self.nudge_every.total_seconds()
        seconds = finished.timestamp() + topic.segment_ms * self.hurry / 1000
        return datetime.fromtimestamp((math.floor(seconds / every) + 1) * every, UTC)

    def _due(self, state: Erasing, now: datetime) -> datetime:
        dues = [state.purge_due or now, *(when for when, _ in state.nudges)]
        return min([*dues, now + AGAIN] if state.waiting else dues)
