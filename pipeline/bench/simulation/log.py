"""One partition of the simulated Kafka: records, markers, the last stable offset, compaction, retention.

Times are milliseconds of the broker's clock. A segment is closed by an append that finds it older than its time;
compaction and retention take closed segments only, which is why a silent partition keeps what it has.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Literal

HISTORY = 64
START_CHECKPOINT_MS = 1_000

Headers = tuple[tuple[str, bytes], ...]


@dataclass(slots=True)
class Entry:
    """One offset: a record, or the marker that ends a transaction of `producer`."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    producer: int | None = None
    marker: Literal["commit", "abort"] | None = None
    aborted: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """What of a topic's settings acts here; milliseconds, -1 is for ever."""

    compacts: bool
    deletes: bool
    retention: int
    segment: int
    tombstones: int

    @classmethod
    def of(cls, settings: Mapping[str, str]) -> "Limits":
        policy = settings["cleanup.policy"]
        segment, lag = int(settings["segment.ms"]), int(settings.get("max.compaction.lag.ms", settings["segment.ms"]))
        return cls(
            "compact" in policy,
            "delete" in policy,
            int(settings.get("retention.ms", "-1")),
            min(segment, lag),
            int(settings.get("delete.retention.ms", "0")),
        )


@dataclass(slots=True)
class Partition:
    """A log. `heard` is told what becomes visible to readers of committed records, in order of the offsets."""

    topic: str
    number: int
    limits: Limits
    now: Callable[[], float]  # seconds of virtual time
    stamp: Callable[[], int]
    heard: Callable[["Partition", Iterable[Entry]], None]
    start: int = 0
    end: int = 0
    stable: int = 0
    watchers: dict[Callable[[], None], None] = field(default_factory=dict)
    _entries: list[Entry] = field(default_factory=list)
    _open: dict[int, int] = field(default_factory=dict)
    _segments: list[tuple[int, int]] = field(default_factory=list)  # first offset, time of the first record
    _ends: deque[tuple[float, int, int]] = field(default_factory=lambda: deque([(0.0, 0, 0)], HISTORY))
    _starts: deque[tuple[int, int]] = field(default_factory=lambda: deque([(0, 0)], 2))
    _cleaned: dict[int, int] = field(default_factory=dict)  # when a pass first met a tombstone or a marker

    def append(self, key: bytes | None, value: bytes | None, headers: Headers, producer: int | None = None) -> int:
        """A record, inside the open transaction of `producer` where one is given; its offset."""
        if producer is not None:
            self._open.setdefault(producer, self.end)
        return self._add(Entry(self.end, self.stamp(), key, value, headers, producer))

    def mark(self, producer: int, *, commit: bool) -> None:
        """End the transaction of `producer` here."""
        first = self._open.pop(producer, None)
        if first is not None and not commit:
            for entry in self._entries[bisect_left(self._entries, first, key=_offset) :]:
                entry.aborted = entry.aborted or entry.producer == producer
        self._add(Entry(self.end, self.stamp(), None, None, (), producer, "commit" if commit else "abort"))

    def _add(self, entry: Entry) -> int:
        if not self._segments or entry.timestamp - self._segments[-1][1] > self.limits.segment:
            self._segments.append((entry.offset, entry.timestamp))
        self._entries.append(entry)
        self.end = entry.offset + 1
        before, self.stable = self.stable, min(self._open.values(), default=self.end)
        self._ends.append((self.now(), self.stable, self.end))
        self.heard(self, self.read(before, self.stable))
        for watcher in list(self.watchers):
            watcher()
        return entry.offset

    def ends_at(self, moment: float) -> tuple[int, int]:
        """The last stable offset and the end, as they were then (or the oldest remembered)."""
        for at, stable, end in reversed(self._ends):
            if at <= moment:
                return stable, end
        return self._ends[0][1:]

    def read(self, first: int, end: int, *, committed: bool = True) -> Iterator[Entry]:
        """Records from `first` to before `end`, without markers; without aborted ones where `committed`."""
        place = bisect_left(self._entries, max(first, self.start), key=_offset)
        for index in range(place, len(self._entries)):
            entry = self._entries[index]
            if entry.offset >= end:
                return
            if entry.marker is None and not (committed and entry.aborted):
                yield entry

    def delete_before(self, offset: int) -> None:
        """DeleteRecords: -1 is the end. Readers below find themselves out of range at once."""
        self._move_start(self.end if offset == -1 else min(offset, self.end))

    def crash(self) -> None:
        """kill -9 of the broker: a start that moved within the checkpoint's interval moves back."""
        moved_at, _ = self._starts[-1]
        if len(self._starts) > 1 and self.stamp() - moved_at < START_CHECKPOINT_MS:
            self._starts.pop()
            # What is off the disk does not come back.
            self.start = max(self._starts[-1][1], self._entries[0].offset if self._entries else self.end)

    def tombstones(self) -> set[bytes | None]:
        """The keys that readers still learn to have been deleted."""
        return {entry.key for entry in self.read(self.start, self.stable) if entry.value is None}

    def clean(self) -> None:
        """One pass of retention and, where the topic compacts, of the cleaner."""
        self._retain()
        if not self.limits.compacts or len(self._segments) < 2:
            return
        dirty = min(self._segments[-1][0], self.stable)
        closed = list(takewhile(lambda entry: entry.offset < dirty, self._entries))
        last = {entry.key: entry.offset for entry in closed if entry.marker is None and not entry.aborted}
        self._entries[: len(closed)] = [entry for entry in closed if self._stays(entry, last)]

    def _stays(self, entry: Entry, last: Mapping[bytes | None, int]) -> bool:
        if entry.aborted or (entry.marker is None and last[entry.key] != entry.offset):
            return False
        if entry.marker is None and entry.value is not None:
            return True
        return self.stamp() - self._cleaned.setdefault(entry.offset, self.stamp()) <= self.limits.tombstones

    def _retain(self) -> None:
        while len(self._segments) > 1 and self._is_over(self._segments[1][0]):
            del self._segments[0]
            self._move_start(max(self.start, self._segments[0][0]))
        if self._segments:
            gone = bisect_left(self._entries, min(self.start, self._segments[0][0]), key=_offset)
            del self._entries[:gone]

    def _is_over(self, next_base: int) -> bool:
        """Whether the oldest segment is to go: it lies before the start, or its newest record is too old."""
        if next_base <= self.start:
            return True
        place = bisect_left(self._entries, next_base, key=_offset)
        newest = self._entries[place - 1].timestamp if place else 0
        old = self.limits.retention >= 0 and self.stamp() - newest > self.limits.retention
        return self.limits.deletes and old and next_base <= self.stable

    def _move_start(self, offset: int) -> None:
        if offset > self.start:
            self.start = offset
            self._starts.append((self.stamp(), offset))


def _offset(entry: Entry) -> int:
    return entry.offset
