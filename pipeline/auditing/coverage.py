"""Which replicas lie in the folders that an audit is given: of a topic it may speak when it has read every one."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from connectors.kafka_cluster import ClusterState
from connectors.kafka_segments import broker_of, directory_of
from pipeline.topology import TOPICS, Deployment


def by_broker(data: Iterable[Path]) -> Mapping[int | None, Sequence[Path]]:
    """The folders of each broker; under None those that do not say whose they are."""
    found: dict[int | None, list[Path]] = defaultdict(list)
    for folder in data:
        found[broker_of(folder)].append(folder)
    return found


def unread(cluster: ClusterState, data: Iterable[Path]) -> frozenset[int]:
    """The brokers of which a log directory is not among these folders.

    Directories are counted by the ids that Kafka gave them: a path may be another one here.
    """
    given = {broker: {directory_of(each) for each in folders} - {None} for broker, folders in by_broker(data).items()}
    return frozenset(
        broker
        for broker in cluster.brokers.keys() | _holders(cluster)
        if not (there := cluster.folders.get(broker)) or len(there) != len(given.get(broker, ()))
    )


def whole(cluster: ClusterState, deployment: Deployment, data: Iterable[Path]) -> frozenset[str]:
    """The topics of the map of which every replica of every partition is in these folders.

    Of a broker that has several log directories all have to be there: Kafka may move a replica between them.
    """
    missing = unread(cluster, data)
    replicas = {topic.name: cluster.replicas.get(deployment.name(topic), {}).values() for topic in TOPICS}
    return frozenset(
        name for name, holders in replicas.items() if holders and missing.isdisjoint(frozenset[int]().union(*holders))
    )


def _holders(cluster: ClusterState) -> frozenset[int]:
    """Every broker that has a replica, also those that are down, and so are not among the cluster's."""
    return frozenset(each for partitions in cluster.replicas.values() for held in partitions.values() for each in held)
