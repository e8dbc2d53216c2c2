"""Operations on a real broker, with the real control stage behind it: what only the wire can show."""

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from connectors import ServiceRefused, ServiceUnavailable, kafka
from connectors.kafka import KafkaAccess
from connectors.kafka_admin import KafkaAdmin
from connectors.keystore import KeyStore
from pipeline import codec, contract
from pipeline.changes import Change, Put, Tombstone
from pipeline.operations import Unanswered, collections, persons
from pipeline.operations.photos import Portrait
from pipeline.operations.waiting import enrolled
from pipeline.operations.watch import identifications
from pipeline.records import Box, Identification, Recognition
from pipeline.topology import IDENTIFICATIONS, TEMPLATES, Deployment
from pipeline.wiring.asking import client, reader
from tests.pipeline.conftest import Cluster
from tests.pipeline.kept import control

SCOPE = "largepersongroup/people"
RETAIL = Recognition("retail")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

pytestmark = pytest.mark.broker


@pytest.fixture
def keys(tmp_path: Path) -> KeyStore:
    return KeyStore.create(tmp_path / "keys")


def portrait() -> Portrait:
    return Portrait(Box(0, 0, 100, 100), 0.9, np.eye(1, 8, dtype=np.float32)[0])


async def test_a_person_comes_and_goes(cluster: Cluster, keys: KeyStore, tmp_path: Path) -> None:
    async with (
        control(cluster, keys, tmp_path),
        client(cluster.access, cluster.deployment, keys, "operator/test") as asking,
    ):
        collection = await collections.ensure(asking, SCOPE, recognition=RETAIL, request_id="r1")
        person_id = await persons.add(asking, SCOPE, "Ada", [portrait()], recognition=RETAIL, request_id="r2")
        assert await persons.add(asking, SCOPE, "Ada", [portrait()], recognition=RETAIL, request_id="r2") == person_id
        await asking.catch_up()
        (listed,) = persons.listed(asking, SCOPE)
        assert (listed.person.person_id, listed.name, listed.person.collection) == (person_id, "Ada", collection.uid)
        assert keys.alive(listed.person.kid)

        async with client(cluster.access, cluster.deployment, keys, "operator/other") as later:
            assert persons.found(later, SCOPE, "Ada").faces == listed.faces

        assert (await persons.delete(asking, SCOPE, person_id, request_id="r3")).forgotten == 2
        assert not keys.alive(listed.person.kid)
        await asking.catch_up()
        assert persons.listed(asking, SCOPE) == []


async def test_waiting_follows_the_offsets_that_the_group_commits(
    cluster: Cluster, keys: KeyStore, tmp_path: Path
) -> None:
    admin = KafkaAdmin(cluster.access)
    try:
        async with (
            control(cluster, keys, tmp_path),
            client(cluster.access, cluster.deployment, keys, "operator/test") as asking,
        ):
            await collections.ensure(asking, SCOPE, recognition=RETAIL, request_id="r1")
            await persons.add(asking, SCOPE, "Ada", [portrait()], recognition=RETAIL, request_id="r2")
            group = f"{cluster.deployment.prefix}enrol"
            with pytest.raises(Unanswered):
                await enrolled(asking, admin, group, SCOPE, cluster.deployment, timeout=0.3)
            consumer = kafka.consumer(cluster.access, group=group)
            consumer.subscribe([cluster.deployment.name(TEMPLATES)])
            await consumer.start()
            try:
                await consumer.getone()
                await consumer.commit()
                await enrolled(asking, admin, group, SCOPE, cluster.deployment, timeout=10)
            finally:
                await consumer.stop()
    finally:
        admin.close()


async def test_nobody_at_the_broker_is_told_in_one_line(keys: KeyStore, cluster: Cluster) -> None:
    with pytest.raises(ServiceUnavailable, match=r"127\.0\.0\.1:1 does not answer"):
        async with client(KafkaAccess("127.0.0.1:1"), cluster.deployment, keys, "operator/test"):
            pass


async def test_missing_topics_are_named(keys: KeyStore, cluster: Cluster) -> None:
    with pytest.raises(ServiceRefused, match=r"no topic elsewhere-collections, .*faceline topics apply"):
        async with client(cluster.access, Deployment(prefix="elsewhere-"), keys, "operator/test"):
            pass


async def test_identifications_are_read_from_now_on_or_from_the_oldest(cluster: Cluster) -> None:
    told = Identification(
        track_id="t1",
        revision=0,
        camera="entrance",
        face_id="f1",
        face_expires=NOW,
        captured_at=NOW,
        identified_at=NOW,
        expires=NOW + timedelta(hours=24),
        decision="unknown",
        model="retail",
        engine="milvus",
        threshold=0.5,
    )
    producer = kafka.producer(cluster.access)
    await producer.start()

    async def write(change: Change[Identification]) -> None:
        headers = contract.cloud_event(change, cluster.deployment, NOW)
        wire = codec.encode(IDENTIFICATIONS, change, headers)
        name = cluster.deployment.name(IDENTIFICATIONS)
        await producer.send_and_wait(name, wire.value, wire.key, partition=0, headers=list(wire.headers))

    try:
        await write(Put("t1", told))
        oldest = identifications(reader(cluster.access), cluster.deployment, from_beginning=True)
        newest = identifications(reader(cluster.access), cluster.deployment)
        async with aclosing(oldest), aclosing(newest):
            assert (await anext(oldest)).change == Put("t1", told)
            waiting = asyncio.ensure_future(anext(newest))
            # Where "now" is, nobody outside can see: whatever is read first, it is none of what was there before.
            while not waiting.done():
                await write(Tombstone("t1"))
                await asyncio.wait([waiting], timeout=0.2)
            assert waiting.result().change == Tombstone("t1")
            assert (await anext(oldest)).change == Tombstone("t1")
    finally:
        await producer.stop()
