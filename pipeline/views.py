"""A table, replayed from its topic and kept current; and the live set, which decides who may be named."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition  # type: ignore[import-untyped]
from aiokafka.structs import ConsumerRecord  # type: ignore[import-untyped]

from pipeline.changes import Change, Put, applied
from pipeline.codec import NewerSchemaError, Received, Unusable, receive
from pipeline.records import Collection, Person, Template
from pipeline.topology import COLLECTIONS, PERSONS, TEMPLATES, Deployment, Topic

log = logging.getLogger(__name__)


class Follower:
    """Reads whole topics from their beginning and keeps following them.

    A record that cannot be read is skipped with a warning: whoever owns its partition writes the dead letter. One of
    a newer release raises NewerSchemaError, because a table read in part would be a lie.
    """

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        deployment: Deployment,
        topics: Iterable[Topic],
        on_change: Callable[[Received], None],
        *,
        partitions: Iterable[int] | None = None,
    ) -> None:
        self._consumer = consumer
        self._topics = {deployment.name(topic): topic for topic in topics}
        self._on_change = on_change
        self._reading = asyncio.Lock()
        self._assignment = [
            TopicPartition(name, partition)
            for name, topic in self._topics.items()
            for partition in (range(deployment.scale.partitions(topic)) if partitions is None else partitions)
        ]

    async def start(self) -> None:
        """Replay everything there is; when this returns, the view is as new as the topics were at the call."""
        await self._consumer.start()
        self._consumer.assign(self._assignment)
        await self._consumer.seek_to_beginning(*self._assignment)
        await self.catch_up()

    async def poll(self, timeout: float = 0.0) -> bool:
        """Take what has arrived, waiting up to `timeout` seconds for something; says whether anything had."""
        async with self._reading:
            batches = await self._consumer.getmany(timeout_ms=int(timeout * 1000))
            for partition, records in batches.items():
                for record in records:
                    self._take(self._topics[partition.topic], record)
            return bool(batches)

    async def catch_up(self) -> None:
        """Wait until the view has seen everything that was acknowledged before this call."""
        ends = await self._consumer.end_offsets(self._assignment)
        for partition, end in ends.items():
            while await self._consumer.position(partition) < end:
                await self.poll(0.1)

    async def run(self) -> None:
        """Follow for ever; cancel to end."""
        while True:
            await self.poll(0.5)

    async def stop(self) -> None:
        await self._consumer.stop()

    def _take(self, topic: Topic, record: ConsumerRecord) -> None:
        match receive(topic, record):
            case Received() as received:
                self._on_change(received)
            case Unusable(newer=True, error=error):
                raise NewerSchemaError(error)
            case Unusable(error=error):
                log.warning("skipped %s/%d at %d: %s", topic.name, record.partition, record.offset, error)


class LiveSet:
    """Who exists: collections, persons and templates, as the tables say."""

    def __init__(self) -> None:
        self.collections: dict[str, Collection] = {}
        self.persons: dict[str, Person] = {}
        self.templates: dict[str, Template] = {}
        self._by_name: dict[str, Collection] = {}
        self._members: dict[str, set[str]] = defaultdict(set)

    def apply(self, received: Received) -> None:
        """Bring the set up to date with one record of `collections`, `persons` or `templates`."""
        self.apply_change(received.topic, received.change)

    def apply_change(self, topic: Topic, change: Change[Any]) -> None:
        if topic is COLLECTIONS:
            applied(self.collections, change, forgotten=self._forget_name)
            if isinstance(change, Put):
                self._by_name[f"{change.value.kind}/{change.value.id}"] = change.value
        elif topic is PERSONS:
            applied(self.persons, change, forgotten=lambda old: self._members[old.collection].discard(old.person_id))
            if isinstance(change, Put):
                self._members[change.value.collection].add(change.key)
        elif topic is TEMPLATES:
            applied(self.templates, change)

    def _forget_name(self, old: Collection) -> None:
        self._by_name.pop(f"{old.kind}/{old.id}", None)

    def collection_of(self, scope: str) -> Collection | None:
        """The collection that a caller names `kind/id`."""
        return self._by_name.get(scope)

    def persons_of(self, uid: str) -> list[Person]:
        """The persons of a collection, in order of their creation."""
        return sorted(
            (self.persons[person] for person in self._members[uid]), key=lambda each: (each.created, each.person_id)
        )

    def count_of(self, uid: str) -> int:
        """How many persons a collection has."""
        return len(self._members[uid])

    def may_name(self, *, collection: str, person: str, persisted_face_id: str, kid: str) -> bool:
        """Whether a proposed match rests on a collection, a person and a template that all live, under the same key."""
        someone = self.persons.get(person)
        template = self.templates.get(f"{person}/{persisted_face_id}")
        return (
            collection in self.collections
            and someone is not None
            and someone.collection == collection
            and someone.kid == kid
            and template is not None
            and template.vector.kid == kid
        )
