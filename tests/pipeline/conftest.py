"""What tests of the pipeline on a real Kafka share: a deployment of their own on it."""

import secrets
from dataclasses import dataclass

import pytest

from connectors.broker import EmbeddedBroker
from connectors.kafka import KafkaAccess
from connectors.kafka_admin import KafkaAdmin, TopicPlan
from pipeline.topology import TOPICS, Deployment


@dataclass(frozen=True, slots=True)
class Cluster:
    """All topics of the map, under a prefix that no other test uses."""

    access: KafkaAccess
    deployment: Deployment


def fresh_cluster(access: KafkaAccess) -> Cluster:
    """A new deployment, with all its topics."""
    deployment = Deployment(prefix=f"t{secrets.token_hex(4)}-")
    plans = [
        TopicPlan(deployment.name(topic), deployment.scale.partitions(topic), deployment.replication, topic.settings())
        for topic in TOPICS
    ]
    admin = KafkaAdmin(access)
    try:
        admin.create_topics(plans)
    finally:
        admin.close()
    return Cluster(access, deployment)


@pytest.fixture
def cluster(broker: EmbeddedBroker) -> Cluster:
    """A fresh deployment on the run's broker."""
    return fresh_cluster(KafkaAccess(broker.bootstrap))
