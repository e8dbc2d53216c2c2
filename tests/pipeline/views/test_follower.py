"""A view on a real Kafka: it holds everything that was acknowledged, skips what nobody can read, and never guesses."""

import logging
from collections.abc import AsyncIterator
from itertools import count

import pytest
from aiokafka import AIOKafkaConsumer  # type: ignore[import-untyped]

from connectors import kafka
from pipeline.changes import Put, Tombstone
from pipeline.codec import NewerSchemaError, Received, encode
from pipeline.topology import COLLECTIONS, FACES, PERSONS
from pipeline.views import Follower, LiveSet
from pipeline.views.follower import STALE, StaleViewError
from tests.connectors.clock import Clock
from tests.pipeline.conftest import Cluster
from tests.pipeline.examples import collection, face, person

pytestmark = pytest.mark.broker


class Writer:
    """Writes to tables, as control does."""

    def __init__(self, cluster: Cluster) -> None:
        self.deployment = cluster.deployment
        self.producer = kafka.producer(cluster.access, transactional_id=f"{cluster.deployment.prefix}writer")

    async def put(self, *changes: Put[object] | Tombstone) -> None:
        """Write persons and collections in one transaction."""
        async with self.producer.transaction():
            for change in changes:
                topic = COLLECTIONS if change.key.startswith("u") else PERSONS
                wire = encode(topic, change)
                await self.raw(topic.name, wire.key, wire.value, wire.headers)

    async def raw(self, topic: str, key: bytes, value: bytes | None, headers: tuple[tuple[str, bytes], ...]) -> None:
        name = self.deployment.prefix + topic
        await self.producer.send(name, key=key, value=value, headers=list(headers), partition=0)


@pytest.fixture
async def writer(cluster: Cluster) -> AsyncIterator[Writer]:
    made = Writer(cluster)
    await made.producer.start()
    yield made
    await made.producer.stop()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def followed(cluster: Cluster, clock: Clock) -> AsyncIterator[tuple[Follower, LiveSet]]:
    live, topics = LiveSet(), (COLLECTIONS, PERSONS)
    follower = Follower(kafka.consumer(cluster.access), cluster.deployment, topics, live.apply, clock=clock.now)
    yield follower, live
    await follower.stop()


async def test_what_was_written_before_and_after_the_start_is_there(
    writer: Writer, followed: tuple[Follower, LiveSet]
) -> None:
    follower, live = followed
    await writer.put(Put("u0", collection()), Put("p0", person("p0")), Put("p1", person("p1")))
    await follower.start()
    assert set(live.persons) == {"p0", "p1"}
    await writer.put(Tombstone("p0"), Put("p2", person("p2")))
    await follower.catch_up()
    assert set(live.persons) == {"p1", "p2"}


async def test_what_was_not_committed_is_never_seen(writer: Writer, followed: tuple[Follower, LiveSet]) -> None:
    follower, live = followed
    await writer.put(Put("u0", collection()))
    wire = encode(PERSONS, Put("p0", person("p0")))
    await writer.producer.begin_transaction()
    await writer.raw(PERSONS.name, wire.key, wire.value, wire.headers)
    await writer.producer.abort_transaction()
    await follower.start()
    assert live.persons == {}


async def test_what_nobody_can_read_is_skipped_and_told_by_its_place(
    writer: Writer, followed: tuple[Follower, LiveSet], caplog: pytest.LogCaptureFixture
) -> None:
    follower, live = followed
    async with writer.producer.transaction():
        await writer.raw(PERSONS.name, b"p9", b"a secret that no log may hold", (("faceline-schema", b"1"),))
    await writer.put(Put("p0", person("p0")))
    with caplog.at_level(logging.WARNING, "pipeline"):
        await follower.start()
    assert set(live.persons) == {"p0"}
    assert "skipped persons/0 at 0: " in caplog.text
    assert "secret" not in caplog.text


async def test_a_table_that_a_newer_release_wrote_is_not_read_in_part(
    writer: Writer, followed: tuple[Follower, LiveSet]
) -> None:
    follower, _ = followed
    async with writer.producer.transaction():
        await writer.raw(PERSONS.name, b"p9", b"{}", (("faceline-schema", b"2"),))
    with pytest.raises(NewerSchemaError, match="upgrade Faceline"):
        await follower.start()


async def test_a_view_of_one_partition_hears_of_no_other(cluster: Cluster, clock: Clock) -> None:
    producer = kafka.producer(cluster.access)
    await producer.start()
    heard: list[Received] = []
    for partition in range(4):
        wire = encode(FACES, Put(f"f{partition}", face(f"f{partition}")))
        name = cluster.deployment.name(FACES)
        await producer.send_and_wait(
            name, key=wire.key, value=wire.value, headers=list(wire.headers), partition=partition
        )
    await producer.stop()
    reader = kafka.consumer(cluster.access)
    follower = Follower(reader, cluster.deployment, (FACES,), heard.append, clock=clock.now, partitions=[2])
    await follower.start()
    await follower.stop()
    assert [each.change.key for each in heard] == ["f2"]


async def test_a_view_that_has_not_looked_for_half_a_day_is_no_view(
    followed: tuple[Follower, LiveSet], clock: Clock
) -> None:
    """A machine slept meanwhile: tombstones may have come and gone."""
    follower, _ = followed
    await follower.start()
    clock.seconds += STALE.total_seconds() - 60
    await follower.poll()
    clock.seconds += STALE.total_seconds() + 60
    with pytest.raises(StaleViewError, match="has heard nothing for"):
        await follower.poll()
    with pytest.raises(StaleViewError):
        await follower.poll()


async def test_a_view_whose_broker_was_away_for_half_a_day_stays_useless_when_it_is_back(
    followed: tuple[Follower, LiveSet], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it looked meanwhile."""
    follower, _ = followed
    await follower.start()
    with monkeypatch.context() as away:
        away.setattr(AIOKafkaConsumer, "last_poll_timestamp", lambda _self, _partition: 0)
        await follower.poll()
        for _ in range(2):
            clock.seconds += STALE.total_seconds() / 2
            await follower.catch_up()
        clock.seconds += 1
        with pytest.raises(StaleViewError):
            await follower.catch_up()
    with pytest.raises(StaleViewError):
        await follower.catch_up()
    with pytest.raises(StaleViewError):
        await follower.poll()


async def test_a_view_that_hears_now_and_then_stays_true_for_days(
    followed: tuple[Follower, LiveSet], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever clock the consumer reads: that it was answered again is what counts."""
    follower, _ = followed
    await follower.start()
    stamps = count(-1)
    monkeypatch.setattr(AIOKafkaConsumer, "last_poll_timestamp", lambda _self, _partition: next(stamps))
    for _ in range(10):
        clock.seconds += STALE.total_seconds() - 60
        await follower.catch_up()
