"""What a camera can learn of the group behind it, from a real Kafka, without joining it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition  # type: ignore[import-untyped]
from aiokafka.errors import KafkaConnectionError  # type: ignore[import-untyped]

from connectors import kafka
from connectors.kafka_admin import KafkaAdmin
from pipeline.capture.backlog import BacklogReader, Room
from pipeline.capture.backpressure import ALL_LEAST, Backlog, Pressure
from pipeline.topology import FRAMES
from tests.pipeline.conftest import Cluster

GROUP = "detect"


@pytest.fixture
async def place(cluster: Cluster) -> TopicPartition:
    """A partition of `frames` with seven records."""
    name = cluster.deployment.name(FRAMES)
    producer = kafka.producer(cluster.access)
    await producer.start()
    for _ in range(7):
        await producer.send_and_wait(name, b"a frame", partition=2)
    await producer.stop()
    return TopicPartition(name, 2)


@pytest.fixture
async def consumer(cluster: Cluster) -> AsyncIterator[AIOKafkaConsumer]:
    reader = kafka.consumer(cluster.access, group=cluster.deployment.prefix + GROUP)
    await reader.start()
    yield reader
    await reader.stop()


@pytest.mark.broker
async def test_progress_is_what_the_group_committed_or_the_oldest_record(
    cluster: Cluster, place: TopicPartition, consumer: AIOKafkaConsumer
) -> None:
    read = BacklogReader(consumer, place.topic, place.partition)
    assert await read() == Backlog(end=7, done=0)

    member = kafka.consumer(cluster.access, group=cluster.deployment.prefix + GROUP)
    await member.start()
    member.assign([place])
    await member.commit({place: 3})
    await member.stop()
    assert await read() == Backlog(end=7, done=3)
    assert Backlog(end=7, done=3).lag == 4

    admin = KafkaAdmin(cluster.access)
    await asyncio.to_thread(admin.delete_records, place.topic, {place.partition: 5})
    admin.close()
    assert await read() == Backlog(end=7, done=5)


def readings(*answers: Backlog | Exception) -> Callable[[], Awaitable[Backlog]]:
    rest = list(answers)

    async def read() -> Backlog:
        answer = rest.pop(0) if len(rest) > 1 else rest[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return read


async def test_who_waits_goes_on_when_there_is_room_again() -> None:
    room = Room(Pressure("all", 5.0))
    full = Backlog(end=ALL_LEAST, done=0)
    empty = Backlog(end=ALL_LEAST, done=ALL_LEAST)
    following = asyncio.create_task(room.follow(readings(full, KafkaConnectionError(), empty)))
    await asyncio.sleep(0.05)
    granted = asyncio.create_task(room.granted())
    await asyncio.sleep(0.25)
    assert not granted.done()
    assert await granted
    following.cancel()


async def test_who_does_not_wait_is_told_at_once() -> None:
    room = Room(Pressure("latest", 5.0))
    assert await room.granted()
    for _ in range(11):
        room.taken()
    assert not await room.granted()
