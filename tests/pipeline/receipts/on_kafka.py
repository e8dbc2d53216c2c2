"""Entries on a real Kafka, as a stage writes them."""

from collections.abc import Iterable
from typing import Any

from connectors import kafka
from pipeline.changes import Change, Put
from pipeline.codec import encode
from pipeline.records import AuditEntry
from pipeline.topology import AUDIT, Topic
from tests.pipeline.conftest import Cluster


async def put(cluster: Cluster, *entries: AuditEntry, partition: int | None = None) -> None:
    """Write entries in one transaction, each to its chain's partition, or to another."""
    places = [each.chain if partition is None else partition for each in entries]
    changes = [Put(entry.event.erasure, entry) for entry in entries]
    await put_changes(cluster, [(AUDIT, place, change) for place, change in zip(places, changes, strict=True)])


async def put_changes(cluster: Cluster, changes: Iterable[tuple[Topic, int, Change[Any]]]) -> None:
    """Write changes in one transaction: topic, partition, change."""
    producer = kafka.producer(cluster.access, transactional_id=f"{cluster.deployment.prefix}writer")
    await producer.start()
    try:
        async with producer.transaction():
            for topic, partition, change in changes:
                wire = encode(topic, change)
                name, headers = cluster.deployment.name(topic), list(wire.headers)
                await producer.send(name, key=wire.key, value=wire.value, headers=headers, partition=partition)
    finally:
        await producer.stop()
