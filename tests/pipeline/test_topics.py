"""Topics against the map: what is created, repaired and refused, first as values, then on a real broker."""

import asyncio
import secrets
from collections.abc import Mapping

import pytest

from connectors import ServiceRefused
from connectors.broker import EmbeddedBroker
from connectors.kafka import KafkaAccess
from connectors.kafka_admin import ConfigValue, KafkaAdmin, TopicState
from pipeline import topics
from pipeline.topology import FACES, PERSONS, TOPICS, Deployment, Scale, Topic

PLAIN = Deployment(Scale(4, 1))


def state(topic: Topic, changed: Mapping[str, str] | None = None, partitions: int | None = None) -> TopicState:
    settings = topic.settings() | dict(changed or {})
    count = PLAIN.scale.partitions(topic) if partitions is None else partitions
    return TopicState(topic.name, count, 1, {name: ConfigValue(value, "topic") for name, value in settings.items()})


def compared(topic: Topic, changed: Mapping[str, str]) -> list[tuple[str, bool]]:
    found = topics.compare(PLAIN, {topic.name: state(topic, changed)}, [topic])
    return [(difference.setting, difference.longer) for difference in found.differences]


def test_what_is_missing_is_planned_from_the_map() -> None:
    found = topics.compare(Deployment(Scale(8, 2), 3, "site1."), {})
    assert [plan.name for plan in found.missing] == [f"site1.{topic.name}" for topic in TOPICS]
    faces = next(plan for plan in found.missing if plan.name == "site1.faces")
    assert (faces.partitions, faces.replication, faces.config) == (8, 3, FACES.settings())


def test_what_is_as_the_map_says_is_left_alone() -> None:
    assert topics.compare(PLAIN, {topic.name: state(topic) for topic in TOPICS}) == topics.Comparison()


def test_spellings_of_one_value_are_one_value() -> None:
    assert compared(FACES, {"cleanup.policy": "delete,compact", "min.cleanable.dirty.ratio": "0.10"}) == []


@pytest.mark.parametrize(
    ("topic", "changed", "longer"),
    [
        (FACES, {"retention.ms": "604800000"}, False),
        (FACES, {"retention.ms": "-1"}, False),
        (FACES, {"retention.ms": "3600000"}, True),
        (FACES, {"segment.ms": "3600000"}, False),
        (FACES, {"segment.ms": "1000"}, True),
        (FACES, {"max.compaction.lag.ms": "1000"}, True),
        (FACES, {"delete.retention.ms": "1000"}, False),
        (FACES, {"delete.retention.ms": "604800000"}, True),
        (FACES, {"cleanup.policy": "compact"}, False),
        (FACES, {"compression.type": "gzip"}, False),
        (PERSONS, {"retention.ms": "604800000"}, False),
        (PERSONS, {"cleanup.policy": "compact,delete"}, False),
    ],
)
def test_only_what_would_keep_data_longer_needs_force(topic: Topic, changed: dict[str, str], longer: bool) -> None:
    assert compared(topic, changed) == [(next(iter(changed)), longer)]


def test_a_table_that_is_deleted_by_age_would_keep_longer() -> None:
    changed = {"cleanup.policy": "compact,delete", "retention.ms": "604800000"}
    assert compared(PERSONS, changed) == [("cleanup.policy", True), ("retention.ms", True)]


def test_another_partition_count_is_told_with_the_way_out() -> None:
    found = topics.compare(PLAIN, {"faces": state(FACES, partitions=8)}, [FACES])
    (line,) = found.wrong_counts
    assert line.startswith("faces has 8 partitions, the settings say 4")
    assert "[kafka] streams = 8" in line
    assert "new [kafka] prefix" in line


async def shows(admin: KafkaAdmin, topic: str, setting: str, value: str) -> None:
    """A changed setting is acknowledged before every answer of the broker knows it."""
    async with asyncio.timeout(10):
        while admin.describe([topic])[topic].config[setting].value != value:  # noqa: ASYNC110 - Kafka tells nobody
            await asyncio.sleep(0.05)


@pytest.mark.broker
async def test_a_real_cluster_is_created_repaired_and_never_loosened(broker: EmbeddedBroker) -> None:
    admin = KafkaAdmin(KafkaAccess(broker.bootstrap))
    prefix = f"t{secrets.token_hex(4)}-"
    deployment = Deployment(Scale(2, 1), prefix=prefix)
    try:
        assert topics.apply(admin, deployment).done == [f"{prefix}{topic.name}: created" for topic in TOPICS]
        assert topics.apply(admin, deployment) == topics.Applied()

        admin.alter(f"{prefix}faces", {"retention.ms": "3600000", "compression.type": "gzip", "flush.ms": "5000"})
        await shows(admin, f"{prefix}faces", "compression.type", "gzip")
        applied = topics.apply(admin, deployment)
        assert applied.done == [f"{prefix}faces: compression.type gzip -> uncompressed"]
        assert len(applied.refused) == 1
        assert "retention.ms is 3600000, the map says 90000000, which keeps data longer" in applied.refused[0]

        assert topics.apply(admin, deployment, force=True).refused == []
        await shows(admin, f"{prefix}faces", "retention.ms", "90000000")
        states, found = topics.survey(admin, deployment)
        assert found == topics.Comparison()
        assert states[f"{prefix}faces"].config["flush.ms"].value == "5000"
        assert states[f"{prefix}faces"].config["cleanup.policy"].value == "compact,delete"

        with pytest.raises(ServiceRefused, match="has 2 partitions, the settings say 3"):
            topics.apply(admin, Deployment(Scale(3, 1), prefix=prefix))
    finally:
        admin.delete_topics(f"{prefix}{topic.name}" for topic in TOPICS)
