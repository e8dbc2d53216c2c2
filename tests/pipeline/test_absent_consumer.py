"""A consumer of an operator's own, in another client library, that was away while somebody was forgotten."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError

from connectors.kafka_admin import KafkaAdmin
from connectors.keystore import KeyStore
from pipeline.changes import Tombstone
from pipeline.identifiers import template_key
from pipeline.stages.erase import Erase
from pipeline.stages.expire import Expire
from pipeline.topology import FACES, IDENTIFICATIONS, PERSONS, TEMPLATES, Topic
from pipeline.views import LiveSet
from tests.pipeline.conftest import Cluster
from tests.pipeline.keeper.world import World, at_work, identify
from tests.pipeline.kept import kept
from tests.pipeline.receipts.on_kafka import put_changes
from tests.pipeline.receipts.signing import SIGNER

pytestmark = [pytest.mark.broker, pytest.mark.timeout(150)]

TOPICS = (PERSONS, TEMPLATES, FACES, IDENTIFICATIONS)
# The cleaner's day, in a second: segments roll at once, and what is dirty is cleaned.
HURRIED = {"segment.ms": "100", "max.compaction.lag.ms": "100", "min.cleanable.dirty.ratio": "0.001"}
SHORT_LIFE = timedelta(minutes=10)


class Ward:
    """Who is there, as somebody else's program knows it: it keeps its offset and its state, and nothing else."""

    def __init__(self, cluster: Cluster, topic: Topic, group: str) -> None:
        self._topic = cluster.deployment.name(topic)
        self._partitions = cluster.deployment.scale.partitions(topic)
        self._options = {
            "bootstrap.servers": cluster.access.bootstrap,
            "group.id": f"{self._topic}-{group}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
        }
        self.known: dict[str, bytes] = {}
        self.valued: set[str] = set()

    def visit(self) -> None:
        """Come, read everything that is new, note how far that was, and go."""
        consumer = Consumer(self._options)
        try:
            consumer.subscribe([self._topic])
            ended: set[int] = set()
            deadline = time.monotonic() + 30
            while len(ended) < self._partitions:
                assert time.monotonic() < deadline, "the ends were not reached"
                message = consumer.poll(1.0)
                if message is None:
                    continue
                if (error := message.error()) is None:
                    self._learn((message.key() or b"").decode(), message.value())
                elif error.code() == KafkaError._PARTITION_EOF:
                    ended.add(message.partition() or 0)
            consumer.commit(asynchronous=False)
        finally:
            consumer.close()

    def _learn(self, key: str, value: bytes | None) -> None:
        if value is None:
            self.known.pop(key, None)
        else:
            self.known[key] = value
            self.valued.add(key)


@dataclass(frozen=True, slots=True)
class Known:
    """A person and who passed by as that person: the keys of their records by topic."""

    person: str
    keys: Mapping[Topic, set[str]]


@pytest.fixture
async def world(cluster: Cluster, tmp_path: Path) -> AsyncIterator[World]:
    erase = Erase(cluster.deployment.scale.streams, LiveSet(), SIGNER, tuple, timedelta(seconds=10))
    with closing(KeyStore.create(tmp_path / "unused")) as keys:
        async with at_work(cluster, tmp_path, erase) as made, kept(identify(made.gallery), cluster, keys, tmp_path):
            yield made


async def _known(world: World, life: timedelta = timedelta(hours=1)) -> Known:
    world.gallery.proposed.clear()
    person = await world.enrol()
    tracks = set(await world.pass_by(4, life))
    await world.until(lambda: all(world.named.get(track) == person for track in tracks))
    (template,) = world.asking.tables.live.templates_of(person)
    keys = {
        PERSONS: {person},
        TEMPLATES: {template_key(person, template.persisted_face_id)},
        FACES: {f"face-of-{track}" for track in tracks},
        IDENTIFICATIONS: tracks,
    }
    return Known(person, keys)


async def _cleaned(cluster: Cluster, topic: Topic, gone: set[str]) -> None:
    """Wait until Kafka's cleaner has taken every value of these keys."""
    with closing(KafkaAdmin(cluster.access)) as admin:
        await asyncio.to_thread(admin.alter, cluster.deployment.name(topic), HURRIED)
    partitions = range(cluster.deployment.scale.partitions(topic))
    for number in range(200):
        await put_changes(cluster, [(topic, each, Tombstone(f"nudge-{number}")) for each in partitions])
        reader = Ward(cluster, topic, f"reader-{number}")
        await asyncio.to_thread(reader.visit)
        if not gone & reader.valued:
            return
    raise TimeoutError(f"a value of {topic.name} is still there: {gone & reader.valued}")


async def test_who_was_away_while_somebody_was_forgotten_and_cleaned_away_forgets_too(
    world: World, cluster: Cluster, tmp_path: Path
) -> None:
    first, second = await _known(world, SHORT_LIFE), await _known(world)
    wards = {topic: Ward(cluster, topic, "ward") for topic in TOPICS}
    await asyncio.gather(*(asyncio.to_thread(ward.visit) for ward in wards.values()))
    for topic, ward in wards.items():
        assert ward.known.keys() == first.keys[topic] | second.keys[topic], topic.name
    await world.delete(first.person)
    third = await _known(world)

    def later() -> datetime:
        return datetime.now(UTC) + 2 * SHORT_LIFE

    with closing(KeyStore.create(tmp_path / "unused")) as keys:
        async with kept(Expire(), cluster, keys, tmp_path, later):
            for topic in TOPICS:
                await _cleaned(cluster, topic, first.keys[topic])
    await asyncio.gather(*(asyncio.to_thread(ward.visit) for ward in wards.values()))
    for topic, ward in wards.items():
        remaining = second.keys[topic] | third.keys[topic]
        assert ward.known.keys() == remaining, topic.name
        newcomer = Ward(cluster, topic, "newcomer")
        await asyncio.to_thread(newcomer.visit)
        assert (newcomer.known, newcomer.valued) == (ward.known, remaining), "it never saw who was forgotten"
