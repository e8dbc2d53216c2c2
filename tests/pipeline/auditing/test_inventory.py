"""Topics against the map: what is missing, unknown or weakened fails, and what is tighter does not."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from connectors.kafka_admin import ConfigValue, TopicState
from connectors.kafka_cluster import ClusterState
from pipeline.auditing import inventory
from pipeline.auditing.report import Line, Verdict
from pipeline.topology import TOPICS, Deployment
from pipeline.wiring.erasing import of_cluster
from tests.pipeline.erasing.settings_in_force import PLAIN, in_force


def cluster(changed: Mapping[str, Mapping[str, str]] | None = None, prefix: str = "") -> ClusterState:
    given = in_force(changed)
    counts = {topic.name: PLAIN.scale.partitions(topic) for topic in TOPICS}
    topics = {
        prefix + name: TopicState(
            prefix + name, counts[name], 1, {setting: ConfigValue(value, "topic") for setting, value in config.items()}
        )
        for name, config in given.topics.items()
    }
    return ClusterState(topics, frozenset(), frozenset(), given.brokers, {1: {}})


def found(state: ClusterState, deployment: Deployment = PLAIN) -> dict[str, Line]:
    return {line.subject: line for line in inventory.lines(state, deployment, of_cluster(state, deployment))}


def failed(state: ClusterState, deployment: Deployment = PLAIN) -> dict[str, str]:
    return {name: line.text for name, line in found(state, deployment).items() if line.verdict is Verdict.FAIL}


def test_a_cluster_as_the_map_says_passes_with_its_bounds() -> None:
    every = found(cluster())
    assert failed(cluster()) == {}
    assert every["frames"].bound == 126
    assert every["cleaner"].verdict is Verdict.CANNOT_TELL


@pytest.mark.parametrize(
    ("topic", "setting", "value"),
    [
        ("frames", "retention.ms", "-1"),
        ("persons", "cleanup.policy", "delete"),
        ("templates", "compression.type", "gzip"),
        ("templates", "message.timestamp.type", "CreateTime"),
        ("gaps", "retention.ms", "-1"),
        ("templates", "max.compaction.lag.ms", "9223372036854775807"),
        ("persons", "remote.storage.enable", "true"),
    ],
)
def test_a_weakened_setting_fails(topic: str, setting: str, value: str) -> None:
    faults = failed(cluster({topic: {setting: value}}))
    assert faults.keys() == {topic}
    assert f"{setting} is {value}" in faults[topic]


def test_a_tighter_setting_passes() -> None:
    assert failed(cluster({"frames": {"retention.ms": "1000", "segment.ms": "1000"}})) == {}


def test_missing_and_unknown_topics_fail() -> None:
    state = cluster()
    topics = dict(state.topics)
    topics["copy-of-faces"] = topics.pop("faces")
    topics["__consumer_offsets"] = replace(topics["gaps"], name="__consumer_offsets")
    every = replace(state, topics=topics, internal=frozenset({"__consumer_offsets"}))
    assert failed(every).keys() == {"faces", "copy-of-faces"}
    assert found(every)["__consumer_offsets"].verdict is Verdict.PASS


def test_on_a_shared_cluster_only_what_has_our_prefix_is_ours() -> None:
    state = cluster(prefix="north-")
    topics = {**state.topics, "south-faces": state.topics["north-faces"], "north-x": state.topics["north-faces"]}
    assert failed(replace(state, topics=topics), Deployment(prefix="north-")).keys() == {"north-x"}


def test_a_replica_that_is_away_and_a_disk_that_was_given_up_fail() -> None:
    state = replace(cluster(), out_of_sync=frozenset({"gaps"}), unreadable=("/disk2",))
    assert failed(state).keys() == {"gaps", "/disk2"}
