"""A consumer of an operator's own, in another client library, that was away while somebody was forgotten."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from confluent_kafka import Consumer, TopicPartition

from connectors.kafka_admin import KafkaAdmin
from connectors.keystore import KeyStore
from pipeline.changes import Tombstone
from pipeline.operations import collections, persons
from pipeline.operations.client import Client
from pipeline.operations.photos import Portrait
from pipeline.records import Box, Recognition
from pipeline.topology import PERSONS
from pipeline.wiring.asking import client
from tests.pipeline.conftest import Cluster
from tests.pipeline.kept import control
from tests.pipeline.receipts.on_kafka import put_changes

pytestmark = [pytest.mark.broker, pytest.mark.timeout(120)]

SCOPE = "largepersongroup/people"
RETAIL = Recognition("retail")
# The cleaner's day, in a second: segments roll at once, and what is dirty is cleaned.
HURRIED = {"segment.ms": "100", "max.compaction.lag.ms": "100", "min.cleanable.dirty.ratio": "0.001"}


class Ward:
    """Who is enrolled, as somebody else's program knows it: it keeps its offset and its state, and nothing else."""

    def __init__(self, cluster: Cluster, group: str) -> None:
        self._topic = cluster.deployment.name(PERSONS)
        self._options = {
            "bootstrap.servers": cluster.access.bootstrap,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
        }
        self.known: dict[str, bytes] = {}
        self.valued: set[str] = set()

    def visit(self) -> None:
        """Come, read everything that is new, note how far that was, and go."""
        consumer = Consumer(self._options)
        try:
            consumer.subscribe([self._topic])
            place = TopicPartition(self._topic, 0)
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:
                message = consumer.poll(1.0)
                if message is not None and message.error() is None:
                    self._learn((message.key() or b"").decode(), message.value())
                _, end = consumer.get_watermark_offsets(place)
                (position,) = consumer.position([place])
                if message is None and consumer.assignment() and position.offset >= end - 1:
                    break
            consumer.commit(asynchronous=False)
        finally:
            consumer.close()

    def _learn(self, key: str, value: bytes | None) -> None:
        if value is None:
            self.known.pop(key, None)
        else:
            self.known[key] = value
            self.valued.add(key)


@pytest.fixture
async def asking(cluster: Cluster, tmp_path: Path) -> AsyncIterator[Client]:
    keys = KeyStore.create(tmp_path / "keys")
    async with (
        control(cluster, keys, tmp_path),
        client(cluster.access, cluster.deployment, keys, "operator/test") as opened,
    ):
        await collections.ensure(opened, SCOPE, recognition=RETAIL, request_id="c")
        yield opened


async def _enrolled(asking: Client) -> str:
    portrait = Portrait(Box(0, 0, 100, 100), 0.9, np.eye(1, 8, dtype=np.float32)[0])
    return await persons.add(asking, SCOPE, "Ada", [portrait], recognition=RETAIL, request_id=asking.new_id())


async def _cleaned(cluster: Cluster, gone: str) -> None:
    """Wait until Kafka's cleaner has taken every value of this person."""
    with closing(KafkaAdmin(cluster.access)) as admin:
        await asyncio.to_thread(admin.alter, cluster.deployment.name(PERSONS), HURRIED)
    for number in range(200):
        await put_changes(cluster, [(PERSONS, 0, Tombstone(f"nudge-{number}"))])
        reader = Ward(cluster, f"reader-{number}")
        await asyncio.to_thread(reader.visit)
        if gone not in reader.valued:
            return
    raise TimeoutError(f"the value of {gone} is still there")


async def test_who_was_away_while_somebody_was_forgotten_and_cleaned_away_forgets_too(
    asking: Client, cluster: Cluster
) -> None:
    first, second = await _enrolled(asking), await _enrolled(asking)
    ward = Ward(cluster, "ward")
    await asyncio.to_thread(ward.visit)
    assert ward.known.keys() == {first, second}
    await persons.delete(asking, SCOPE, first, request_id="d")
    third = await _enrolled(asking)
    await _cleaned(cluster, first)
    await asyncio.to_thread(ward.visit)
    assert ward.known.keys() == {second, third}
    newcomer = Ward(cluster, "newcomer")
    await asyncio.to_thread(newcomer.visit)
    assert (newcomer.known, newcomer.valued) == (ward.known, {second, third}), "it never saw who was forgotten"
