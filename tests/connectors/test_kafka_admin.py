"""Administration on a real broker: what is changed changes, what is not named stays, and a fault says what to do."""

import secrets
from collections.abc import Iterator

import pytest

from connectors import ServiceRefused, ServiceUnavailable
from connectors.broker import EmbeddedBroker
from connectors.kafka import KafkaAccess, consumer, producer
from connectors.kafka_admin import HIGH_WATERMARK, ConfigValue, KafkaAdmin, TopicPlan

pytestmark = pytest.mark.broker


@pytest.fixture
def admin(broker: EmbeddedBroker) -> Iterator[KafkaAdmin]:
    administrator = KafkaAdmin(KafkaAccess(broker.bootstrap))
    yield administrator
    administrator.close()


@pytest.fixture
def name() -> str:
    return f"admin-{secrets.token_hex(4)}"


async def write(broker: EmbeddedBroker, topic: str, partition: int, count: int) -> None:
    sender = producer(KafkaAccess(broker.bootstrap))
    await sender.start()
    for number in range(count):
        await sender.send_and_wait(topic, b"v%d" % number, partition=partition)
    await sender.stop()


def test_a_topic_from_creation_to_deletion(admin: KafkaAdmin, name: str) -> None:
    plan = TopicPlan(name, 3, 1, {"cleanup.policy": "compact", "segment.ms": "10000"})
    assert admin.create_topics([plan]) == {name}
    assert admin.create_topics([plan]) == frozenset()
    assert name in admin.topics()
    state = admin.describe([name, "no-such-topic"])[name]
    assert (state.partitions, state.replication) == (3, 1)
    assert state.config["cleanup.policy"] == ConfigValue("compact", "topic")
    assert state.config["file.delete.delay.ms"] == ConfigValue("1000", "broker")
    assert state.config["max.message.bytes"] == ConfigValue("4194304", "broker")
    assert state.config["min.cleanable.dirty.ratio"] == ConfigValue("0.5", "default")
    admin.delete_topics([name, "no-such-topic"])
    admin.delete_topics([name])
    assert admin.describe([name]) == {}


def test_changing_one_setting_leaves_the_others(admin: KafkaAdmin, name: str) -> None:
    admin.create_topics([TopicPlan(name, 1, 1, {"cleanup.policy": "compact", "segment.ms": "10000"})])
    admin.alter(name, {"retention.ms": "60000", "segment.ms": None})
    config = admin.describe([name])[name].config
    assert config["cleanup.policy"] == ConfigValue("compact", "topic")
    assert config["retention.ms"] == ConfigValue("60000", "topic")
    assert config["segment.ms"] == ConfigValue("604800000", "default")


def test_an_impossible_setting_is_named(admin: KafkaAdmin, name: str) -> None:
    with pytest.raises(ServiceRefused, match=rf"refused to create the topic {name}: .*segment\.bytes"):
        admin.create_topics([TopicPlan(name, 1, 1, {"segment.bytes": "1"})])
    admin.create_topics([TopicPlan(name, 1, 1, {})])
    with pytest.raises(ServiceRefused, match=rf"refused to change retention\.ms of the topic {name}: .*retention\.ms"):
        admin.alter(name, {"retention.ms": "soon"})


async def test_offsets_and_deleted_records(admin: KafkaAdmin, broker: EmbeddedBroker, name: str) -> None:
    admin.create_topics([TopicPlan(name, 2, 1, {})])
    await write(broker, name, partition=1, count=5)
    assert admin.end_offsets(name) == {0: 0, 1: 5}
    assert admin.delete_records(name, {1: 3}) == {1: 3}
    assert admin.beginning_offsets(name) == {0: 0, 1: 3}
    assert admin.delete_records(name, {0: HIGH_WATERMARK, 1: HIGH_WATERMARK}) == {0: 0, 1: 5}
    assert admin.delete_records(name, {}) == {}
    with pytest.raises(ServiceRefused, match=rf"refused to delete records of the topic {name}"):
        admin.delete_records(name, {1: 6})


async def test_an_open_transaction_ends_what_a_committed_reader_sees(
    admin: KafkaAdmin, broker: EmbeddedBroker, name: str
) -> None:
    admin.create_topics([TopicPlan(name, 1, 1, {})])
    sender = producer(KafkaAccess(broker.bootstrap), transactional_id=name)
    await sender.start()
    await sender.begin_transaction()
    await sender.send_and_wait(name, b"open")
    assert (admin.end_offsets(name), admin.end_offsets(name, committed=True)) == ({0: 1}, {0: 0})
    await sender.abort_transaction()
    await sender.stop()


async def test_committed_offsets_of_a_group(admin: KafkaAdmin, broker: EmbeddedBroker, name: str) -> None:
    admin.create_topics([TopicPlan(name, 2, 1, {})])
    assert admin.committed(name, name) == {}
    await write(broker, name, partition=1, count=2)
    reader = consumer(KafkaAccess(broker.bootstrap), group=name)
    reader.subscribe([name])
    await reader.start()
    record = await reader.getone()
    await reader.commit({next(p for p in reader.assignment() if p.partition == 1): record.offset + 1})
    assert admin.committed(name, name) == {1: 1}
    await reader.stop()


def test_a_cluster_that_is_not_there_is_waited_for() -> None:
    absent = KafkaAdmin(KafkaAccess("127.0.0.1:9"), timeout=0.5)
    with pytest.raises(ServiceUnavailable, match=r"Kafka at 127\.0\.0\.1:9 does not answer"):
        absent.ready()
    with pytest.raises(ServiceUnavailable):
        absent.create_topics([TopicPlan("t", 1, 1, {})])


def test_offsets_of_an_unknown_topic(admin: KafkaAdmin) -> None:
    with pytest.raises(ServiceRefused, match="has no topic no-such-topic: create the topics first"):
        admin.end_offsets("no-such-topic")
