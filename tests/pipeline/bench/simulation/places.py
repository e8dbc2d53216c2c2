"""Two places where a Kafka client can be tried: the real embedded broker, and the simulated one."""

import asyncio
import random
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from connectors import kafka
from connectors.kafka import KafkaAccess, Library
from connectors.kafka_admin import KafkaAdmin, TopicPlan
from pipeline.bench.simulation.broker import SimulatedBroker
from pipeline.bench.simulation.consumer import SimulatedConsumer
from pipeline.bench.simulation.loop import VirtualLoop
from pipeline.bench.simulation.producer import SimulatedProducer

# Closed and cleaned at once, so that a test on the real broker lasts seconds.
QUICK = {
    "segment.ms": "100",
    "max.compaction.lag.ms": "100",
    "min.cleanable.dirty.ratio": "0.01",
    "file.delete.delay.ms": "100",
    "message.timestamp.type": "LogAppendTime",
}
TABLE = {**QUICK, "cleanup.policy": "compact", "delete.retention.ms": "60000"}
STREAM = {**QUICK, "cleanup.policy": "delete", "retention.ms": "60000"}


class Place(Protocol):
    """A Kafka with two topics of the test's own, `table` and `stream`, two partitions each."""

    access: KafkaAccess

    def name(self, topic: str) -> str:
        """What the topic is called there."""
        ...

    async def delete_records(self, topic: str, before: int) -> None:
        """DeleteRecords on partition 0."""
        ...

    async def clean(self, topic: str, done: Callable[[], Awaitable[bool]]) -> None:
        """Have the cleaner pass over partition 0 until `done`."""
        ...


def producer(place: Place, transactional_id: str | None = None) -> Any:
    """A producer of that place, by the door that everybody takes; not yet started."""
    given = None if transactional_id is None else place.name(transactional_id)
    return kafka.producer(place.access, transactional_id=given)


def consumer(place: Place, **options: Any) -> Any:
    """A consumer, likewise."""
    if "group" in options:
        options["group"] = place.name(options["group"])
    return kafka.consumer(place.access, **options)


@dataclass
class RealPlace:
    """Topics under a prefix that no other test uses."""

    access: KafkaAccess
    prefix: str = field(default_factory=lambda: f"c{secrets.token_hex(4)}-")

    def __post_init__(self) -> None:
        self._admin = KafkaAdmin(self.access)
        self._admin.create_topics(
            [TopicPlan(self.name(name), 2, 1, settings) for name, settings in (("table", TABLE), ("stream", STREAM))]
        )

    def close(self) -> None:
        self._admin.close()

    def name(self, topic: str) -> str:
        return self.prefix + topic

    async def delete_records(self, topic: str, before: int) -> None:
        await asyncio.to_thread(self._admin.delete_records, self.name(topic), {0: before})

    async def clean(self, topic: str, done: Callable[[], Awaitable[bool]]) -> None:
        await _nudged(self, topic, done)


@dataclass
class SimulatedPlace:
    """The same in virtual time."""

    loop: VirtualLoop
    seed: int
    settings: Mapping[str, tuple[int, Mapping[str, str]]] = field(
        default_factory=lambda: {"table": (2, TABLE), "stream": (2, STREAM)}
    )

    def __post_init__(self) -> None:
        self.broker = SimulatedBroker(
            self.loop, random.Random(self.seed), self.settings, lambda: round(self.loop.time() * 1000)
        )
        library = Library(partial(SimulatedProducer, self.broker), partial(SimulatedConsumer, self.broker))
        self.access = KafkaAccess("simulated:0", library=library)

    def name(self, topic: str) -> str:
        return topic

    async def delete_records(self, topic: str, before: int) -> None:
        self.broker.partitions[(topic, 0)].delete_before(before)

    async def clean(self, topic: str, done: Callable[[], Awaitable[bool]]) -> None:
        async def done_after_a_pass() -> bool:
            self.broker.partitions[(topic, 0)].clean()
            return await done()

        await _nudged(self, topic, done_after_a_pass)


async def _nudged(place: Place, topic: str, done: Callable[[], Awaitable[bool]]) -> None:
    """The cleaner takes closed segments, and only an append closes one."""
    async with asyncio.timeout(30), producer(place) as nudging:
        while True:
            await asyncio.sleep(0.2)
            await nudging.send_and_wait(place.name(topic), b"", key=b"__nudge", partition=0)
            if await done():
                return
