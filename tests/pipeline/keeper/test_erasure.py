"""What was forgotten leaves the broker's files, and it is the eraser's own nudges and purges that make it leave.

Nothing else is written once the deletions are done: on partitions that fall silent, Kafka would keep everything.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from connectors.broker import EmbeddedBroker
from connectors.kafka_admin import KafkaAdmin
from connectors.kafka_cluster import observe
from connectors.kafka_segments import StoredRecord, records, segments
from connectors.keystore import KeyStore
from pipeline.erasing.bounds import of_topics
from pipeline.stages.erase import ROLLED, Erase
from pipeline.topology import COMMANDS, IDENTIFICATIONS, PERSONS, TEMPLATES
from pipeline.views import LiveSet
from pipeline.wiring.erasing import in_force
from tests.pipeline.conftest import Cluster
from tests.pipeline.keeper.world import World, at_work, identify
from tests.pipeline.kept import kept
from tests.pipeline.receipts.signing import SIGNER

pytestmark = [pytest.mark.broker, pytest.mark.timeout(150)]

CANARIES = 5
# Minutes of the map are here tenths of a second, and so are the eraser's.
HURRY, NUDGE_S = 1 / 300, 1.0
HOLDING = (COMMANDS, PERSONS, TEMPLATES, IDENTIFICATIONS)
SLACK_S = 15.0  # what a machine that does other work may take for itself


@pytest.fixture
async def world(cluster: Cluster, tmp_path: Path) -> AsyncIterator[World]:
    with closing(KafkaAdmin(cluster.access)) as admin:
        for topic in ROLLED:
            short = {"segment.ms": str(int(topic.segment_ms * HURRY))}
            if "compact" in topic.cleanup:
                short["max.compaction.lag.ms"] = short["segment.ms"]
            await asyncio.to_thread(admin.alter, cluster.deployment.name(topic), short)
    erase = Erase(
        cluster.deployment.scale.streams,
        LiveSet(),
        SIGNER,
        tuple,
        timedelta(seconds=30),
        nudge_every=timedelta(seconds=NUDGE_S),
        hurry=HURRY,
    )
    async with at_work(cluster, tmp_path, erase) as made:
        yield made


async def test_every_canary_leaves_every_file(
    world: World, broker: EmbeddedBroker, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    keys = KeyStore.create(tmp_path / "unused")
    async with kept(identify(world.gallery), world.cluster, keys, tmp_path):
        canaries = []
        for _ in range(CANARIES):
            person = await world.enrol()
            tracks = await world.pass_by(4)
            await world.until(lambda tracks=tracks: world.named.keys() >= set(tracks))
            canaries.append((person, world.asking.tables.live.persons[person].kid))
            world.gallery.proposed.clear()
        needles = [word.encode() for canary in canaries for word in canary]
        there = {topic.name for topic in HOLDING}
        assert _holding(broker, world.cluster, needles) == there, "the scanner must see them while they live"
        for person, _ in canaries:
            await world.delete(person)
        began, left = time.monotonic(), dict[str, float]()
        looked = began
        promised = await _promised(world.cluster)
        while len(left) < len(HOLDING) and looked < began + max(promised.values()) + SLACK_S:
            await asyncio.sleep(0.2)
            looked = time.monotonic()
            still = await asyncio.to_thread(_holding, broker, world.cluster, needles)
            left |= dict.fromkeys(there - still - left.keys(), looked - began)
    for name in sorted(there):
        record_property(name, f"gone after {left.get(name, -1.0):.1f} s, promised {promised[name]:.1f} s")
        assert left.get(name, float("inf")) <= promised[name] + SLACK_S, (name, promised[name], left)


async def _promised(cluster: Cluster) -> dict[str, float]:
    """Seconds by the settings in force, and by the eraser's own haste; nobody here leaves a transaction open."""
    found = in_force(await observe(cluster.access))
    quick = {"transaction.max.timeout.ms": "0", "transaction.abort.timed.out.transaction.cleanup.interval.ms": "0"}
    found = replace(found, brokers={node: {**told, **quick} for node, told in found.brokers.items()})
    hurried = [replace(topic, segment_ms=int(topic.segment_ms * HURRY)) for topic in HOLDING]
    return {each.store: (each.seconds or 0.0) - 30 + NUDGE_S for each in of_topics(cluster.deployment, found, hurried)}


def _holding(broker: EmbeddedBroker, cluster: Cluster, needles: list[bytes]) -> set[str]:
    """The topics in whose files a record's value has one of these; also in those that are not yet unlinked."""
    topics = {cluster.deployment.name(topic): topic.name for topic in HOLDING}
    return {
        topics[segment.topic]
        for segment in segments(broker.data)
        if segment.topic in topics
        for record in records(segment)
        if isinstance(record, StoredRecord) and any(needle in (record.value or b"") for needle in needles)
    }
