"""The inventory: every topic of the cluster against the map, and what the settings in force promise for each."""

from collections.abc import Iterator, Sequence

from connectors.kafka_cluster import ClusterState
from pipeline import topics
from pipeline.auditing.report import Line, Verdict
from pipeline.erasing.bounds import Bound
from pipeline.erasing.times import told
from pipeline.topology import TOPICS, Deployment

CHECK = "inventory"


def lines(cluster: ClusterState, deployment: Deployment, bounds: Sequence[Bound]) -> Iterator[Line]:
    """A line for every topic with the deployment's prefix, for Kafka's own, and for what can be said of no topic."""
    compared = topics.compare(deployment, cluster.topics)
    promised = {bound.store: bound for bound in bounds}
    known = {deployment.name(topic): topic for topic in TOPICS}
    missing = {plan.name for plan in compared.missing}
    for name, topic in known.items():
        faults = ["is missing: create it with faceline topics apply"] if name in missing else []
        faults += [
            f"{each.setting} is {each.present}, the map says {each.wanted}: repair with faceline topics apply"
            for each in compared.differences
            # What is tighter than the map forgets sooner.
            if each.topic == name and not each.longer
        ]
        faults += [line for line in compared.wrong_counts if line.startswith(f"{name} ")]
        yield _line(name, faults, promised.get(topic.name), away=name in cluster.out_of_sync)
    for name in sorted(cluster.topics.keys() - known.keys()):
        if name in cluster.internal:
            text = "Kafka's own: offsets and transactions, no values of ours"
            yield Line(check=CHECK, subject=name, verdict=Verdict.PASS, text=text)
        elif name.startswith(deployment.prefix):
            text = "is not on the map: nothing is promised for what it holds; delete it, or find out who made it"
            yield Line(check=CHECK, subject=name, verdict=Verdict.FAIL, text=text)
    yield from _disks(cluster)


def _line(name: str, faults: list[str], bound: Bound | None, *, away: bool) -> Line:
    if away:
        faults = [*faults, "a replica is away and keeps what it has: bring its broker back"]
    if bound is not None and bound.seconds is None and not faults:
        faults = [bound.why]
    seconds = None if bound is None else bound.seconds
    if faults:
        return Line(check=CHECK, subject=name, verdict=Verdict.FAIL, text="; ".join(faults), bound=seconds)
    text = "as the map says" + ("" if bound is None else f"; gone {told(seconds)} after a deletion: {bound.why}")
    return Line(check=CHECK, subject=name, verdict=Verdict.PASS, text=text, bound=seconds)


def _disks(cluster: ClusterState) -> Iterator[Line]:
    for folder in cluster.unreadable:
        text = "the broker has given this disk up: what lies on it is not cleaned"
        yield Line(check=CHECK, subject=folder, verdict=Verdict.FAIL, text=text)
    text = (
        "whether each broker's cleaner works at this moment: watch uncleanable-partitions-count and DeadThreadCount in "
        "its metrics (JMX)"
    )
    yield Line(check=CHECK, subject="cleaner", verdict=Verdict.CANNOT_TELL, text=text)
