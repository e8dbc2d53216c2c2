"""One look at a real broker: topics, settings, sizes; a broker that is not there is waited for."""

import secrets

import pytest

from connectors import ServiceUnavailable
from connectors.broker import EmbeddedBroker
from connectors.kafka import KafkaAccess, producer
from connectors.kafka_admin import ConfigValue, KafkaAdmin, TopicPlan
from connectors.kafka_cluster import observe


@pytest.mark.broker
async def test_what_the_broker_says_of_itself(broker: EmbeddedBroker) -> None:
    access, name = KafkaAccess(broker.bootstrap), f"cluster-{secrets.token_hex(4)}"
    admin = KafkaAdmin(access)
    admin.create_topics([TopicPlan(name, 2, 1, {"cleanup.policy": "compact", "segment.ms": "7000"})])
    sender = producer(access)
    await sender.start()
    await sender.send_and_wait(name, bytes(100_000), key=b"k", partition=1)
    await sender.stop()

    found = await observe(access)
    topic = found.topics[name]
    assert (topic.partitions, topic.replication) == (2, 1)
    assert topic.config == admin.describe([name])[name].config
    assert topic.config["segment.ms"] == ConfigValue("7000", "topic")
    assert found.brokers.keys() == found.sizes.keys() == {1}
    assert found.brokers[1]["log.retention.check.interval.ms"] == "5000"
    assert found.brokers[1]["log.cleaner.enable"] == "true"
    assert 100_000 < found.sizes[1][name] < 200_000
    assert (found.out_of_sync, found.unreadable) == (frozenset(), ())
    assert found.replicas[name] == {0: {1}, 1: {1}}
    assert found.folders == {1: (str(broker.data),)}
    assert name not in found.internal
    admin.delete_topics([name])
    admin.close()


async def test_a_broker_that_is_not_there() -> None:
    with pytest.raises(ServiceUnavailable, match=r"Kafka at 127\.0\.0\.1:9 does not answer"):
        await observe(KafkaAccess("127.0.0.1:9"), timeout=0.5)
