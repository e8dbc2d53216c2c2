"""A view on a real Kafka: it holds everything that was acknowledged, skips what nobody can read, and never guesses."""

import logging
import time
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaConsumer  # type: ignore[import-untyped]

from connectors import kafka
from pipeline.changes import Put, Tombstone
from pipeline.codec import NewerSchemaError, Received, encode
from pipeline.topology import COLLECTIONS, FACES, PERSONS
from pipeline.views import Follower, LiveSet
from pipeline.views.follower import STALE_SECONDS, StaleViewError
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
async def followed(cluster: Cluster) -> AsyncIterator[tuple[Follower, LiveSet]]:
    live = LiveSet()
    follower = Follower(kafka.consumer(cluster.access), cluster.deployment, (COLLECTIONS, PERSONS), live.apply)
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


async def test_a_view_of_one_partition_hears_of_no_other(cluster: Cluster) -> None:
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
    follower = Follower(kafka.consumer(cluster.access), cluster.deployment, (FACES,), heard.append, partitions=[2])
    await follower.start()
    await follower.stop()
    assert [each.change.key for each in heard] == ["f2"]


async def test_a_view_that_has_heard_nothing_for_half_a_day_is_no_view(
    followed: tuple[Follower, LiveSet], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine slept meanwhile, or the broker was away: tombstones may have come and gone."""
    follower, _ = followed
    await follower.start()
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + STALE_SECONDS - 60)
    await follower.poll()
    monkeypatch.setattr(time, "time", lambda: now + 2 * STALE_SECONDS)
    with pytest.raises(StaleViewError, match="has heard nothing for"):
        await follower.poll()
    with pytest.raises(StaleViewError):
        await follower.poll()


async def test_a_view_whose_broker_was_away_for_half_a_day_stays_useless_when_it_is_back(
    followed: tuple[Follower, LiveSet], monkeypatch: pytest.MonkeyPatch
) -> None:
    follower, _ = followed
    await follower.start()
    with monkeypatch.context() as away:
        long_ago = int((time.time() - 2 * STALE_SECONDS) * 1000)
        away.setattr(AIOKafkaConsumer, "last_poll_timestamp", lambda _self, _partition: long_ago)
        with pytest.raises(StaleViewError):
            await follower.catch_up()
    with pytest.raises(StaleViewError):
        await follower.catch_up()
    with pytest.raises(StaleViewError):
        await follower.poll()
