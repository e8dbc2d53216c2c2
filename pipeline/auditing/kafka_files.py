"""The broker's files: no record may outlive its bound that is sealed under a destroyed key, or names what was erased.

The cleaner must keep up.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from connectors.kafka_segments import (
    Batch,
    Segment,
    StoredRecord,
    Unread,
    batches,
    cleaned_up_to,
    read,
    segments,
)
from pipeline.auditing.report import Line, Verdict
from pipeline.auditing.sought import NAMING, Sought, keys_of, named_by, search_of
from pipeline.erasing.bounds import Bound
from pipeline.erasing.search import Search
from pipeline.erasing.times import told
from pipeline.topology import TOPICS, Deployment, Topic

CHECK = "kafka"
EXAMPLES = 3


@dataclass(slots=True)
class Seen:
    """What was seen of one topic in all its segments; `waiting` are ids that still stand there and are not yet due."""

    segments: list[Segment] = field(default_factory=list)
    records: int = 0
    unread: int = 0
    overdue: int = 0
    pending: int = 0
    due: float = 0.0
    waiting: set[str] = field(default_factory=set)
    examples: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class KafkaFiles:
    """The data folders of brokers, with what is promised of each topic."""

    data: Sequence[Path]
    deployment: Deployment
    bounds: Sequence[Bound]

    def searched(self, sought: Sought, now: datetime) -> Mapping[str, Seen]:
        """What was seen of each topic that has files, by its name on the cluster; of deleted topics, too."""
        by_topic: dict[str, Seen] = defaultdict(Seen)
        known = {self.deployment.name(topic): topic for topic in TOPICS}
        search = search_of([*sought.keys, *sought.subjects])
        for segment in self._segments():
            if segment.topic in known or segment.topic.startswith((self.deployment.prefix, "__")):
                self._add(by_topic[segment.topic], known.get(segment.topic), segment, search, sought, now.timestamp())
        return by_topic

    def lines(self, by_topic: Mapping[str, Seen], now: datetime) -> Iterator[Line]:
        """A line for each topic that was seen, and for each partition that the cleaner has left."""
        known = {self.deployment.name(topic): topic for topic in TOPICS}
        for name, seen in sorted(by_topic.items()):
            yield _line(name, seen, naming=name in known and known[name].name in NAMING)
        yield from self._uncleaned(by_topic, known, now)

    def _segments(self) -> Iterator[Segment]:
        return (segment for folder in self.data for segment in segments(folder))

    def where(self, ids: Collection[str]) -> Mapping[str, set[str]]:
        """The topics of the map in whose files a record is sealed with one of these keys or names one of these ids."""
        known = {self.deployment.name(topic): topic for topic in TOPICS}
        search, found = search_of(ids), defaultdict[str, set[str]](set)
        for segment in self._segments():
            if (topic := known.get(segment.topic)) is None:
                continue
            for batch, telling in _searched(segment, search):
                for record in read(segment, batch) if telling else ():
                    if there := (keys_of(topic, record) | named_by(topic, record)) & set(ids):
                        found[topic.name] |= there
        return found

    def _add(
        self, seen: Seen, topic: Topic | None, segment: Segment, search: Search, sought: Sought, now: float
    ) -> None:
        seen.segments.append(segment)
        for batch, telling in _searched(segment, search):
            seen.records += batch.records
            for record in read(segment, batch) if telling else ():
                seen.unread += isinstance(record, Unread)
                appended = (segment.written or 0) if isinstance(record, Unread) else record.timestamp
                for name in sorted(sought.within(topic, record)):
                    due = self._due(topic, sought.since(name), appended / 1000)
                    if due is not None and due >= now:
                        seen.pending += 1
                        seen.due = max(seen.due, due)
                        seen.waiting.add(name)
                        continue
                    seen.overdue += 1
                    if len(seen.examples) < EXAMPLES:
                        where = f"offset {record.offset}" if isinstance(record, StoredRecord) else f"byte {record.at}"
                        place = f"{segment.path.name} of partition {segment.partition}"
                        kind = "key" if name in sought.keys else "id"
                        seen.examples.append(f"{place}, {where}, {kind} {name}")

    def _due(self, topic: Topic | None, gone: float, appended: float) -> float | None:
        """When a record must be gone; None where nothing is promised."""
        bound = next((each for each in self.bounds if topic is not None and each.store == topic.name), None)
        if topic is None or bound is None or bound.seconds is None:
            return None
        return (appended if bound.aged else max(gone, appended)) + bound.seconds

    def _uncleaned(self, by_topic: Mapping[str, Seen], known: Mapping[str, Topic], now: datetime) -> Iterator[Line]:
        """Compacted partitions that the cleaner has passed over for longer than a bound: it cannot clean them."""
        positions = {place: offset for folder in self.data for place, offset in cleaned_up_to(folder).items()}
        for name, topic in known.items():
            bound = next((each.seconds for each in self.bounds if each.store == topic.name), None)
            if "compact" not in topic.cleanup or bound is None:
                continue
            files = by_topic[name].segments if name in by_topic else []
            for partition in sorted({segment.partition for segment in files}):
                waiting = [segment for segment in files if segment.partition == partition and not segment.state]
                since = _dirty_since(waiting, positions.get((name, partition), 0))
                if since is not None and (waited := now - since) > timedelta(seconds=bound):
                    text = (
                        f"partition {partition} has waited {told(waited.total_seconds())} for the cleaner, which "
                        f"promises {told(bound)}: look for its fault in the broker's log, then restart the broker"
                    )
                    yield Line(check=CHECK, subject=name, verdict=Verdict.FAIL, text=text)


def _line(name: str, seen: Seen, *, naming: bool) -> Line:
    counted = f"{seen.records} records in {len(seen.segments)} segments"
    what = "under destroyed keys, or name what was erased" if naming else "under destroyed keys"
    if seen.overdue:
        text = f"{counted}; {seen.overdue} are {what}, and overdue: {'; '.join(seen.examples)}"
        return Line(check=CHECK, subject=name, verdict=Verdict.FAIL, text=text)
    if seen.unread:
        text = (
            f"{counted}; {seen.unread} pieces could not be read (another compression?); no id that is gone is in them"
        )
        return Line(check=CHECK, subject=name, verdict=Verdict.CANNOT_TELL, text=text)
    if seen.pending:
        due = datetime.fromtimestamp(seen.due, UTC)
        text = f"{counted}; {seen.pending} are {what}, the last due {_clock(due)}"
        return Line(check=CHECK, subject=name, verdict=Verdict.PENDING, text=text, due=due)
    text = f"{counted}; none under a destroyed key" + (" or naming what was erased" if naming else "")
    return Line(check=CHECK, subject=name, verdict=Verdict.PASS, text=text)


def _searched(segment: Segment, search: Search) -> Iterator[tuple[Batch, bool]]:
    """Every batch, and whether it has to be read: an id stands in its bytes, or they are compressed."""
    segment.file.seek(0)
    hits = sorted(hit.begins for hit in search.stream(segment.file))
    for batch in batches(segment):
        at = bisect_left(hits, batch.at)
        yield batch, batch.compressed or (at < len(hits) and hits[at] < batch.at + batch.size)


def _dirty_since(files: Sequence[Segment], cleaned: int) -> datetime | None:
    """Since when the oldest segment that is closed and was not cleaned waits; None where there is none."""
    for segment, following in pairwise(files):
        if following.base > cleaned and segment.written is not None:
            return datetime.fromtimestamp(segment.written / 1000, UTC)
    return None


def _clock(when: datetime) -> str:
    return f"{when.astimezone():%Y-%m-%d %H:%M:%S}"
