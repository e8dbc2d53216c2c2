"""Take back what was published about somebody who is gone, or whose time is over; then say how far one has come.

Identify does so for the partitions that it owns, the eraser for one that it had to take over.
"""

import heapq
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from pipeline.changes import Put, Tombstone
from pipeline.codec import Received
from pipeline.records import Watermark
from pipeline.stages.contract import Emit, Output
from pipeline.topology import GATE, IDENTIFICATIONS, IDENTIFY, Node
from pipeline.views import LiveSet, Positions

# The one key of a partition of `gate`: the newest watermark is the only one that counts.
KEY = IDENTIFY.name


@dataclass(frozen=True, slots=True)
class Passage:
    """What is published about a track: who was named, in which revision, until when."""

    person: str | None
    revision: int
    expires: datetime


@dataclass(slots=True)
class Known:
    """What one partition has published and not yet withdrawn. Handed from step to step; changed in place.

    `told` is how many tombstones of the tables the newest watermark covers; a new owner has told nothing.
    """

    passages: dict[str, Passage] = field(default_factory=dict)
    by_person: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    ends: list[tuple[datetime, str]] = field(default_factory=list)
    told: int = -1

    def publish(self, track: str, passage: Passage) -> None:
        self.withdraw(track)
        self.passages[track] = passage
        if passage.person is not None:
            self.by_person[passage.person].add(track)
        heapq.heappush(self.ends, (passage.expires, track))

    def withdraw(self, track: str) -> None:
        passage = self.passages.pop(track, None)
        if passage is not None and passage.person is not None:
            tracks = self.by_person[passage.person]
            tracks.discard(track)
            if not tracks:
                del self.by_person[passage.person]


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """Works on one partition of `identifications`, as its owner, who is `by`.

    `live` and `positions` are of one view, which stands still during a call; nothing of the partition's is in flight
    then, so what the watermark says holds for everything that is published after it.
    """

    live: LiveSet
    positions: Positions
    by: Literal["identify", "erase"]

    @property
    def node(self) -> Node:
        return IDENTIFY

    def begin(self) -> Known:
        return Known()

    def replay(self, state: Known, received: Received) -> Known:
        match received.change:
            case Tombstone(key=track):
                state.withdraw(track)
            case Put(key=track, value=told):
                state.publish(track, Passage(told.person_id, told.revision, told.expires))
        return state

    def tick(self, state: Known, now: datetime) -> tuple[Known, list[Output], datetime | None]:
        gone = [person for person in state.by_person if person not in self.live.persons]
        # A dict, because a track can end for both reasons at once, and is forgotten once.
        withdrawn = {track: None for person in gone for track in sorted(state.by_person[person])}
        while state.ends and state.ends[0][0] <= now:
            end, track = heapq.heappop(state.ends)
            passage = state.passages.get(track)
            if passage is not None and passage.expires == end:
                withdrawn[track] = None
        for track in withdrawn:
            state.withdraw(track)
        outputs: list[Output] = [Emit(IDENTIFICATIONS, Tombstone(track)) for track in withdrawn]
        if state.told != self.positions.tombstones:
            state.told = self.positions.tombstones
            # Behind the tombstones, which everybody has to see first: `keeper.ownership` gives it the next transaction.
            watermark = Watermark(positions=dict(self.positions.behind), by=self.by, at=now)
            outputs.append(Emit(GATE, Put(KEY, watermark)))
        return state, outputs, state.ends[0][0] if state.ends else None
