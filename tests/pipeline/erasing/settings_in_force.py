"""The settings of a cluster as the map and the embedded broker make them, for tests to weaken."""

from collections.abc import Mapping

from connectors.broker_home import SETTINGS
from pipeline.erasing.bounds import InForce
from pipeline.topology import TOPICS, Deployment

# What Kafka 4.3 says where neither the map nor the embedded broker does.
DEFAULTS = {"min.compaction.lag.ms": "0", "remote.storage.enable": "false"}
BROKER = {"log.cleaner.enable": "true", "log.cleaner.io.max.bytes.per.second": "1.7976931348623157E308"}
PLAIN = Deployment()


def in_force(
    topics: Mapping[str, Mapping[str, str]] | None = None,
    broker: Mapping[str, str] | None = None,
    compacted_bytes: int = 0,
    without: str | None = None,
) -> InForce:
    """The cluster, with settings of `topics` and of its one broker changed; `without` a topic."""
    changed = topics or {}
    return InForce(
        {
            topic.name: DEFAULTS | topic.settings() | dict(changed.get(topic.name, {}))
            for topic in TOPICS
            if topic.name != without
        },
        {1: SETTINGS | BROKER | dict(broker or {})},
        compacted_bytes,
    )
