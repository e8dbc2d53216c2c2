"""Whether an audit can see at all: in every store that lies here, the living canary has to be found.

Where several brokers' folders are given, it has to be in the folders of each that has a replica of its partition.
"""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from connectors.kafka_cluster import ClusterState
from pipeline.auditing import canary, coverage
from pipeline.auditing.canary import Canary, Folders
from pipeline.auditing.report import CONTROL, Line, Verdict
from pipeline.erasing.bounds import KEY_STORE, MILVUS
from pipeline.topology import Deployment


@dataclass(frozen=True, slots=True)
class Place:
    """Folders, and the stores of which each has to have the canary there."""

    folders: Folders
    stores: frozenset[str]


def places(bird: Canary, cluster: ClusterState, deployment: Deployment, folders: Folders) -> list[Place]:
    """Where the canary has to be: on this machine, and in the folders of every broker."""
    lying_here = ((MILVUS, folders.milvus), (KEY_STORE, folders.keys))
    found = [Place(replace(folders, kafka=None), frozenset(store for store, there in lying_here if there is not None))]
    if folders.kafka is None:
        return found
    partition = deployment.scale.of_scope(bird.scope)
    for broker, data in coverage.by_broker(folders.kafka.data).items():
        # A folder that does not say whose it is has to have everything.
        stores = frozenset(
            topic.name
            for topic in canary.IN_KAFKA
            if broker is None or broker in cluster.replicas.get(deployment.name(topic), {}).get(partition, ())
        )
        found.append(Place(replace(folders, kafka=replace(folders.kafka, data=tuple(data))), stores))
    return found


def visible(where: Sequence[Place]) -> frozenset[str]:
    """The stores that lie in one of these places."""
    return frozenset[str]().union(*(place.stores for place in where))


def seen(bird: Canary, where: Sequence[Place], stores: AbstractSet[str]) -> set[str]:
    """Those of the stores in which the canary is, wherever it has to be. Blocks; reads them from end to end."""
    wanted = [(place, place.stores & stores) for place in where]
    missed = [mine - canary.found(bird, place.folders, sorted(mine)) for place, mine in wanted if mine]
    return set(stores).difference(*missed)


def lines(bird: Canary, where: Sequence[Place], found: AbstractSet[str], folders: Folders) -> Iterator[Line]:
    """A line for each store that lies here, and for the canary's template, which may stand nowhere in the clear."""
    for store in sorted(visible(where)):
        is_seen = store in found
        text = "the living canary is found" if is_seen else "the living canary is not found: nothing else counts here"
        yield Line(check=CONTROL, subject=store, verdict=Verdict.PASS if is_seen else Verdict.BLIND, text=text)
    if not visible(where):
        text = "no store lies where this audit runs: run it where one does, with --kafka-data DIR on a broker's machine"
        yield Line(check=CONTROL, subject="every store", verdict=Verdict.BLIND, text=text)
    yield canary.in_the_clear(bird, folders)


def out_of_sight(cluster: ClusterState, folders: Folders, where: Sequence[Place]) -> Iterator[Line]:
    """A line for each store that does not lie here, or not as a whole."""
    for store, text in _out_of_sight(cluster, folders, visible(where)):
        yield Line(check=CONTROL, subject=store, verdict=Verdict.CANNOT_TELL, text=text)


def _out_of_sight(cluster: ClusterState, folders: Folders, known: AbstractSet[str]) -> Iterator[tuple[str, str]]:
    if folders.kafka is None:
        yield (
            "Kafka",
            "its disks are not ours: give --kafka-data DIR where a broker's folder can be read, on each of them",
        )
    else:
        if away := [topic.name for topic in canary.IN_KAFKA if topic.name not in known]:
            yield "Kafka", f"the canary's partition of {', '.join(away)} is on other brokers: run the audit there"
        if brokers := sorted(coverage.unread(cluster, folders.kafka.data)):
            yield (
                "replicas",
                f"not all folders of broker {', '.join(map(str, brokers))} were given: each broker cleans its own "
                "copy; run the audit with --kafka-data on every one. Of a topic with a replica there nothing is signed",
            )
    if folders.milvus is None:
        yield MILVUS, "its storage is not ours: deleted vectors leave it by its own compaction and garbage collection"
    if folders.keys is None:
        yield (
            KEY_STORE,
            "a server's files are not ours: what a destroyed row leaves there, the next rotation makes worthless",
        )
