"""How long after a deletion its last byte may stay, store by store: what the settings in force promise, and no more.

The arithmetic is Kafka's own. Every time counts while the broker runs, and it runs from `log.initial.task.delay.ms`
after its start on: 30 s, unless its owner has set another time, which it tells nobody. Before that nothing grows old.
One pass of the cleaner is taken to be enough: so it is while the records that came since the last one have fewer than
`log.cleaner.dedupe.buffer.size` / 27 keys.

From the tombstone T0 on, a compacted value leaves in five steps:
  1. its segment rolls with the first record appended min(segment.ms, max.compaction.lag.ms) after the segment's first,
     which the eraser's nudge brings at the latest;
  2. the cleaner may take it when max.compaction.lag.ms is over, no transaction that began before T0 is still open, and
     min.compaction.lag.ms has passed;
  3. the cleaner wakes (log.cleaner.backoff.ms);
  4. it works through the other partitions and through this one, at CLEANER_BYTES_PER_S, and syncs files (PASS_S);
  5. the old segment is unlinked (file.delete.delay.ms).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from pipeline.erasing.times import told, told_ms
from pipeline.topology import (
    COLLECTIONS,
    COMMANDS,
    FACES,
    FRAMES,
    IDENTIFICATIONS,
    MEMBERSHIPS,
    OPERATIONS,
    PERSONS,
    TEMPLATES,
    Deployment,
    Topic,
)

NUDGE_S = 30.0  # the longest the eraser waits, after a segment may roll, before it appends the record that rolls it
CLEANER_BYTES_PER_S = 50e6  # a cleaner reads and writes 50 to 100 MB/s on one core
PASS_S = 1.0  # what a pass takes however little there is; 0.1 to 0.4 s were measured
UNLIMITED_MS = (1 << 63) - 1
# Topics that hold somebody's data, or name somebody.
PERSONAL = (FRAMES, FACES, IDENTIFICATIONS, COMMANDS, COLLECTIONS, PERSONS, TEMPLATES, MEMBERSHIPS, OPERATIONS)
# Topics whose partitions the eraser nudges after a deletion, when their segments may roll by the map. In the others a
# partition may fall silent, and its last segment then waits for retention.
NUDGED = frozenset({IDENTIFICATIONS.name, COLLECTIONS.name, PERSONS.name, TEMPLATES.name, MEMBERSHIPS.name})
# Nudged as well, and what was read of it is deleted (DeleteRecords) so many seconds later at most.
PURGED = frozenset({COMMANDS.name})
PURGE_S = 2.0
KEY_STORE, MILVUS = "key store", "Milvus"

Configuration = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class InForce:
    """Settings as Kafka reports them, names and values in its own spelling.

    `topics` by name on the cluster, `brokers` by id; `compacted_bytes` is the size of all compacted partitions of the
    broker that has most; `out_of_sync` are topics with a replica that has fallen behind or is down.
    """

    topics: Mapping[str, Configuration]
    brokers: Mapping[int, Configuration]
    compacted_bytes: int
    out_of_sync: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Bound:
    """When the bytes have left a store, in seconds from the deletion; None where nothing is promised.

    `why` is the sum, or the setting that makes it impossible, its value and the cure. `tombstone` is when the deleted
    record's key, a random id, has left as well, given that its partition gets another record after that time. What is
    `aged` leaves so long after it was appended, whatever becomes of its key.
    """

    store: str
    seconds: float | None
    why: str
    tombstone: float | None = None
    aged: bool = False


class _Unbounded(Exception):
    """A setting makes every bound impossible: the text names it, its value and the cure."""


def of_topics(deployment: Deployment, in_force: InForce, topics: Iterable[Topic] = PERSONAL) -> list[Bound]:
    """The bound of each topic, in order."""
    return [_of_topic(deployment, in_force, topic) for topic in topics]


def of_keys(lease: float) -> Bound:
    """Of a destroyed data key: durable at once, forgotten by other processes when their lease of `lease` s ends."""
    return Bound(KEY_STORE, lease, f"overwritten at once; unwrapped keys are leased for {lease:g} s")


def of_milvus(rebuilt_every: float | None) -> Bound:
    """Of a template's vector, where the index is made anew, and the old one dropped, within `rebuilt_every` seconds.

    None is of a Milvus server, which does not tell when it unlinks what was dropped.
    """
    if rebuilt_every is None:
        why = "what faceline gallery rebuild has dropped, a server unlinks as its dataCoord.gc settings say"
        return Bound(MILVUS, None, why)
    return Bound(MILVUS, rebuilt_every, f"made anew without it within {told(rebuilt_every)}, and the old one dropped")


def _of_topic(deployment: Deployment, in_force: InForce, topic: Topic) -> Bound:
    try:
        return _Arithmetic(topic, deployment.name(topic), in_force).bound()
    except _Unbounded as reason:
        return Bound(topic.name, None, str(reason))


@dataclass(frozen=True, slots=True)
class _Arithmetic:
    """The sums for one topic. All times within are milliseconds, as Kafka's."""

    topic: Topic
    name: str
    in_force: InForce

    def bound(self) -> Bound:
        if self.name not in self.in_force.topics:
            raise _Unbounded(f"the topic {self.name} is missing: create it with faceline topics apply")
        self._require("cleanup.policy", lambda policy: _policies(policy) == _policies(self.topic.cleanup))
        # A producer's own clock could keep a segment from rolling, and a record from growing old.
        self._require("message.timestamp.type", lambda kind: kind == "LogAppendTime")
        self._require("remote.storage.enable", lambda kept: kept != "true", "false")
        if self.name in self.in_force.out_of_sync:
            raise _Unbounded(f"a replica of {self.name} is away and keeps what it has: bring its broker back")
        if self.topic.name in PURGED:
            return self._purged()
        if self.topic.cleanup == "delete":
            return self._aged()
        return self._compacted() if self.topic.name in NUDGED else self._compacted_or_aged()

    def _aged(self) -> Bound:
        """A segment leaves as a whole, when its newest record is old enough; the one being written, too."""
        roll, keep = self._topic_ms("segment.ms"), self._retention()
        leaving, why = self._unlinked()
        return Bound(
            self.topic.name,
            (roll + keep + leaving) / 1000,
            f"segment {told_ms(roll)} + retention {told_ms(keep)} + {why}",
            aged=True,
        )

    def _purged(self) -> Bound:
        """A segment leaves once all of it is deleted and another one was begun, which the nudge sees to."""
        nudged, how = self._nudged(self._topic_ms("segment.ms"))
        leaving, why = self._unlinked()
        return Bound(
            self.topic.name,
            (nudged + leaving) / 1000 + PURGE_S,
            f"{how} + DeleteRecords {PURGE_S:g} s + {why}",
        )

    def _unlinked(self) -> tuple[float, str]:
        """From when a segment may be deleted until it is unlinked."""
        check, unlink = self._broker_ms("log.retention.check.interval.ms"), self._topic_ms("file.delete.delay.ms")
        return check + unlink, f"check {told_ms(check)} + unlink {told_ms(unlink)}"

    def _nudged(self, roll: float) -> tuple[float, str]:
        """From a deletion until the record that rolls its segments: the eraser goes by the map."""
        if roll > self.topic.segment_ms:
            raise self._wrong("segment.ms", str(self.topic.segment_ms))
        return self.topic.segment_ms + NUDGE_S * 1000, f"segment {told_ms(self.topic.segment_ms)} + nudge {NUDGE_S:g} s"

    def _compacted(self) -> Bound:
        ready, how = self._ready(nudged=True)
        cleaned, passes = self._cleaned()
        return self._summed(ready + cleaned, f"{how} + {passes}")

    def _compacted_or_aged(self) -> Bound:
        """Where nobody nudges, the next record rolls the segment; if none comes, retention takes all there is."""
        keep = self._retention()
        ready, how = self._ready(nudged=False)
        cleaned, passes = self._cleaned()
        return self._summed(keep + ready + cleaned, f"retention {told_ms(keep)} + {how} + {passes}")

    def _summed(self, value: float, why: str) -> Bound:
        kept = self._topic_ms("delete.retention.ms")
        return Bound(self.topic.name, value / 1000, why, (2 * value + kept) / 1000)

    def _ready(self, *, nudged: bool) -> tuple[float, str]:
        """From the tombstone until the cleaner may take its segment."""
        lag = self._topic_ms("max.compaction.lag.ms")
        if lag >= UNLIMITED_MS:
            raise self._wrong("max.compaction.lag.ms", str(self.topic.segment_ms))
        roll, young = min(self._topic_ms("segment.ms"), lag), self._topic_ms("min.compaction.lag.ms")
        transaction = self._broker_ms("transaction.max.timeout.ms") + self._broker_ms(
            "transaction.abort.timed.out.transaction.cleanup.interval.ms"
        )
        rolled, by = self._nudged(roll) if nudged else (roll, f"segment {told_ms(roll)}")
        waits = {
            by: rolled,
            f"lag {told_ms(lag)}": lag,
            f"segment {told_ms(roll)} + min.compaction.lag.ms {told_ms(young)}": roll + young,
            f"open transaction {told_ms(transaction)}": transaction,
        }
        how = max(waits, key=lambda wait: waits[wait])
        return waits[how], how

    def _cleaned(self) -> tuple[float, str]:
        """From then until the old segment is unlinked."""
        for broker, settings in self.in_force.brokers.items():
            if settings.get("log.cleaner.enable", "true") != "true":
                raise _Unbounded(f"broker {broker}: log.cleaner.enable is false, nothing is compacted: set it to true")
        backoff, unlink = self._broker_ms("log.cleaner.backoff.ms"), self._topic_ms("file.delete.delay.ms")
        throttle = min(self._broker_numbers("log.cleaner.io.max.bytes.per.second", default=CLEANER_BYTES_PER_S))
        size = self.in_force.compacted_bytes
        work = 1000 * (PASS_S + size / min(throttle, CLEANER_BYTES_PER_S))
        cleaning = f"cleaning {size / 1e6:.0f} MB {told_ms(round(work))}"
        return backoff + work + unlink, f"backoff {told_ms(backoff)} + {cleaning} + unlink {told_ms(unlink)}"

    def _retention(self) -> float:
        keep = self._topic_ms("retention.ms")
        if keep < 0:
            raise self._wrong("retention.ms", str(self.topic.retention_ms))
        return keep

    def _require(self, setting: str, holds: Callable[[str], bool], default: str | None = None) -> None:
        value = self._setting(setting, default)
        if not holds(value):
            raise self._wrong(setting, self.topic.settings().get(setting, default or ""))

    def _wrong(self, setting: str, wanted: str) -> _Unbounded:
        present = self.in_force.topics[self.name].get(setting)
        cure = "repair with faceline topics apply" if setting in self.topic.settings() else f"set it to {wanted}"
        return _Unbounded(f"{self.name}: {setting} is {present}, so nothing is promised: {cure}")

    def _setting(self, setting: str, default: str | None = None) -> str:
        value = self.in_force.topics[self.name].get(setting, default)
        if value is None:
            raise _Unbounded(f"{self.name}: Kafka does not tell {setting}: let us describe the topic's configuration")
        return value

    def _topic_ms(self, setting: str) -> float:
        return _number(setting, self._setting(setting))

    def _broker_ms(self, setting: str) -> float:
        return max(self._broker_numbers(setting))

    def _broker_numbers(self, setting: str, default: float | None = None) -> list[float]:
        values = [settings.get(setting) for settings in self.in_force.brokers.values()]
        if not values or (default is None and None in values):
            raise _Unbounded(f"Kafka does not tell its brokers' {setting}: let us describe their configuration")
        return [default if value is None and default is not None else _number(setting, value or "") for value in values]


def _policies(policy: str) -> set[str]:
    return {word.strip() for word in policy.split(",")}


def _number(setting: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise _Unbounded(f"{setting} is {value!r}, which is no number") from None
