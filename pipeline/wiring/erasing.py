"""The bounds of a deployment as it stands: its Kafka is asked for the settings in force, the rest is known here."""

import asyncio
from collections.abc import Mapping

from connectors import ServiceRefused, ServiceUnavailable
from connectors.kafka import KafkaAccess
from connectors.kafka_cluster import ClusterState, observe
from connectors.root_keys import LEASE
from pipeline import records
from pipeline.erasing import bounds
from pipeline.erasing.bounds import Bound, InForce
from pipeline.operations.rebuilding import kept_at_most
from pipeline.settings import Settings
from pipeline.topology import Deployment

# What Milvus Lite is good to.
LITE_TEMPLATES = 20_000


async def all_bounds(
    access: KafkaAccess, deployment: Deployment, *, rebuilt_every: float | None = None
) -> tuple[Bound, ...]:
    """The bound of every store: each topic that holds or names somebody, the key store, Milvus.

    `rebuilt_every` is what `rebuilt_within` says. Raises what `observe` raises.
    """
    return of_cluster(await observe(access), deployment, rebuilt_every=rebuilt_every)


def of_cluster(
    cluster: ClusterState, deployment: Deployment, *, rebuilt_every: float | None = None
) -> tuple[Bound, ...]:
    """The same, of a cluster that was looked at."""
    topics = bounds.of_topics(deployment, in_force(cluster))
    return (*topics, bounds.of_keys(LEASE), bounds.of_milvus(rebuilt_every))


def rebuilt_within(settings: Settings) -> float | None:
    """Seconds from a deletion until its vectors have left the index's files; None of a Milvus server, which decides."""
    return None if settings.milvus.uri is not None else kept_at_most(settings.milvus.renew, LITE_TEMPLATES)


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


def promised(
    access: KafkaAccess, deployment: Deployment, *, rebuilt_every: float | None = None
) -> tuple[records.Bound, ...]:
    """The same for a receipt, which is signed also where nobody may look or a broker is down: then nothing is promised.

    Blocks.
    """
    try:
        found = asyncio.run(all_bounds(access, deployment, rebuilt_every=rebuilt_every))
    except (ServiceRefused, ServiceUnavailable) as reason:
        return (records.Bound(store="all", why=str(reason)),)
    return tuple(records.Bound(store=each.store, why=each.why, seconds=each.seconds) for each in found)
