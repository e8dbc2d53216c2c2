"""Put an end to faces: a tombstone at their TTL, and the destruction of every key whose time is over."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pipeline.changes import Put, Tombstone
from pipeline.codec import Received, Unusable
from pipeline.stages.contract import DestroyExpiredKeys, Emit, Output
from pipeline.topology import EXPIRE, FACES, Node


@dataclass(slots=True)
class Pending:
    """The faces of one partition that have not ended yet. Handed from step to step; changed in place."""

    expires: dict[str, datetime] = field(default_factory=dict)
    ends: list[tuple[datetime, str]] = field(default_factory=list)
    sweep_due: datetime | None = None


@dataclass(frozen=True, slots=True)
class Expire:
    """`sweep` is how often keys that are past their time are looked for, also while no face ends."""

    sweep: timedelta = timedelta(seconds=5)
    batch: int = 500

    @property
    def node(self) -> Node:
        return EXPIRE

    def begin(self) -> Pending:
        return Pending()

    def replay(self, state: Pending, received: Received) -> Pending:
        match received.change:
            case Tombstone(key=key):
                state.expires.pop(key, None)
            case Put(key=key, value=face):
                state.expires[key] = face.expires
                heapq.heappush(state.ends, (face.expires, key))
        return state

    def prepare(self, inputs: Sequence[Received]) -> Sequence[Received]:
        return inputs

    def step(
        self, state: Pending, prepared: Sequence[Received], now: datetime
    ) -> tuple[Pending, list[Output | Unusable]]:
        for received in prepared:
            state = self.replay(state, received)
        return state, []

    def tick(self, state: Pending, now: datetime) -> tuple[Pending, list[Output], datetime | None]:
        outputs: list[Output] = []
        while state.ends and state.ends[0][0] <= now:
            end, key = heapq.heappop(state.ends)
            if state.expires.get(key) == end:
                del state.expires[key]
                outputs.append(Emit(FACES, Tombstone(key)))
        if state.sweep_due is None or state.sweep_due <= now:
            state.sweep_due = now + self.sweep
            outputs.append(DestroyExpiredKeys(now))
        next_end = state.ends[0][0] if state.ends else state.sweep_due
        return state, outputs, min(next_end, state.sweep_due)
