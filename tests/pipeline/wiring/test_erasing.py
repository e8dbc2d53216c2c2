"""The bounds against a real broker: whatever the settings in force promise is gone from its files by then."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial

import pytest

from connectors.broker import EmbeddedBroker
from connectors.kafka import KafkaAccess, producer
from connectors.kafka_admin import KafkaAdmin, TopicPlan
from connectors.kafka_cluster import observe
from connectors.kafka_segments import StoredRecord, records, segments
from pipeline.erasing import bounds
from pipeline.erasing.bounds import MILVUS, of_topics
from pipeline.topology import FACES, FRAMES, TEMPLATES, Deployment, Topic
from pipeline.wiring.erasing import all_bounds, in_force, promised

pytestmark = pytest.mark.broker

NUDGE_S = 1.0
QUICK = replace(TEMPLATES, segment_ms=2_000)
SHORT = {"segment.ms": "2000"}
LAGGING = SHORT | {"max.compaction.lag.ms": "2000"}
SETTINGS: Mapping[Topic, Mapping[str, str]] = {
    # The eraser nudges by the map: here that is as short as the topic's own setting.
    QUICK: LAGGING,
    FACES: LAGGING | {"retention.ms": "3000"},
    FRAMES: SHORT | {"retention.ms": "2000"},
}
# What a machine that does other work as well may take for itself.
SLACK_S = 10.0


async def test_what_is_promised_is_kept(
    broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    monkeypatch.setattr(bounds, "NUDGE_S", NUDGE_S)
    access, deployment = KafkaAccess(broker.bootstrap), Deployment(prefix=f"t{secrets.token_hex(4)}-")
    admin = KafkaAdmin(access)
    plans = [TopicPlan(deployment.name(each), 1, 1, {**each.settings(), **short}) for each, short in SETTINGS.items()]
    await asyncio.to_thread(admin.create_topics, plans)
    found = in_force(await observe(access))
    # Nobody here leaves a transaction open, which would be waited for by far the longest.
    quick = {"transaction.max.timeout.ms": "0", "transaction.abort.timed.out.transaction.cleanup.interval.ms": "0"}
    found = replace(found, brokers={node: {**told, **quick} for node, told in found.brokers.items()})
    by_topic = dict(zip(SETTINGS, of_topics(deployment, found, SETTINGS), strict=True))
    sender = producer(access)
    await sender.start()
    try:
        measured = await asyncio.gather(
            *(_gone(broker, sender, deployment, topic, (by_topic[topic].seconds or 0) + SLACK_S) for topic in SETTINGS)
        )
    finally:
        await sender.stop()
    for (topic, bound), seconds in zip(by_topic.items(), measured, strict=True):
        record_property(f"{topic.name}: promised, measured", (bound.seconds, round(seconds, 1)))
        assert bound.seconds is not None, bound.why
        assert seconds <= bound.seconds + SLACK_S
    admin.delete_topics(deployment.name(topic) for topic in SETTINGS)
    admin.close()


async def _gone(broker: EmbeddedBroker, sender: object, deployment: Deployment, topic: Topic, patience: float) -> float:
    """Write a value, then its tombstone where there are any; seconds until no file of the partition has the value.

    What the nudge was late by is nothing that the bound promises.
    """
    name, value = deployment.name(topic), secrets.token_hex(16).encode()

    async def send(key: bytes, content: bytes | None) -> None:
        await sender.send_and_wait(name, content, key=key, partition=0)  # type: ignore[attr-defined]

    await send(b"victim", value)
    assert value in await asyncio.to_thread(_values, broker, name)
    if topic is not FRAMES:
        await asyncio.sleep(0.5)
        await send(b"victim", None)
    began = looked = time.monotonic()
    nudging = asyncio.create_task(_nudged(partial(send, b"nudge", b"nudge"))) if topic is QUICK else None
    while value in await asyncio.to_thread(_values, broker, name) and looked < began + patience:
        await asyncio.sleep(0.1)
        looked = time.monotonic()
    return looked - began - (await nudging if nudging else 0.0)


async def _nudged(nudge: Callable[[], Awaitable[None]]) -> float:
    """Roll a segment as the eraser would; by how many seconds later than that it was."""
    due = time.monotonic() + 2 + NUDGE_S
    await asyncio.sleep(2 + NUDGE_S)
    await nudge()
    return time.monotonic() - due


def _values(broker: EmbeddedBroker, name: str) -> set[bytes | None]:
    return {
        record.value
        for segment in segments(broker.data)
        if segment.topic == name
        for record in records(segment)
        if isinstance(record, StoredRecord)
    }


async def test_every_store_has_its_line(broker: EmbeddedBroker) -> None:
    found = {each.store: each for each in await all_bounds(KafkaAccess(broker.bootstrap), Deployment(prefix="none-"))}
    assert {"frames", "templates", "key store", MILVUS} <= found.keys()
    assert "none-frames is missing" in found["frames"].why
    assert found["key store"].seconds == 5.0


def test_where_kafka_does_not_answer_nothing_is_promised() -> None:
    (line,) = promised(KafkaAccess("127.0.0.1:1"), Deployment())
    assert (line.store, line.seconds) == ("all", None)
    assert line.why.startswith("Kafka at 127.0.0.1:1 does not answer")
