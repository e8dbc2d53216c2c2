"""Entries on a real Kafka, as a stage writes them."""

from connectors import kafka
from pipeline.changes import Put
from pipeline.codec import encode
from pipeline.records import AuditEntry
from pipeline.topology import AUDIT
from tests.pipeline.conftest import Cluster


async def put(cluster: Cluster, *entries: AuditEntry, partition: int | None = None) -> None:
    """Write entries in one transaction, each to its chain's partition, or to another."""
    producer = kafka.producer(cluster.access, transactional_id=f"{cluster.deployment.prefix}writer")
    await producer.start()
    try:
        async with producer.transaction():
            for entry in entries:
                wire = encode(AUDIT, Put(entry.event.erasure, entry))
                name = cluster.deployment.name(AUDIT)
                place = entry.chain if partition is None else partition
                headers = list(wire.headers)
                await producer.send(name, key=wire.key, value=wire.value, headers=headers, partition=place)
    finally:
        await producer.stop()
