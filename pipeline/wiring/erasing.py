"""The bounds of a deployment as it stands: its Kafka is asked for the settings in force, the rest is known here."""

from collections.abc import Mapping

from connectors.kafka import KafkaAccess
from connectors.kafka_cluster import ClusterState, observe
from connectors.root_keys import LEASE
from pipeline.erasing import bounds
from pipeline.erasing.bounds import Bound, InForce
from pipeline.topology import Deployment


async def all_bounds(
    access: KafkaAccess, deployment: Deployment, *, rebuilt_every: float | None = None
) -> tuple[Bound, ...]:
    """The bound of every store: each topic that holds or names somebody, the key store, Milvus.

    `rebuilt_every` is how often the index is made anew, in seconds. Raises what `observe` raises.
    """
    return of_cluster(await observe(access), deployment, rebuilt_every=rebuilt_every)


def of_cluster(
    cluster: ClusterState, deployment: Deployment, *, rebuilt_every: float | None = None
) -> tuple[Bound, ...]:
    """The same, of a cluster that was looked at."""
    topics = bounds.of_topics(deployment, in_force(cluster))
    return (*topics, bounds.of_keys(LEASE), bounds.of_milvus(rebuilt_every))


def in_force(cluster: ClusterState) -> InForce:
    """The settings of a cluster that was looked at, as the arithmetic takes them."""
    topics = {
        name: {setting: value.value for setting, value in state.config.items()}
        for name, state in cluster.topics.items()
    }
    compacted = {name for name, settings in topics.items() if "compact" in settings.get("cleanup.policy", "")}
    largest = max((_total(sizes, compacted) for sizes in cluster.sizes.values()), default=0)
    return InForce(topics, cluster.brokers, largest, cluster.out_of_sync)


def _total(sizes: Mapping[str, int], topics: set[str]) -> int:
    return sum(size for name, size in sizes.items() if name in topics)
