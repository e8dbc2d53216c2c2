"""The map: every topic and every stage, in flow order. Nothing else declares a topic.

Partitions are explicit. A camera has a partition of the streams, a collection one of the tables; what is made from
partition p of a topic goes to partition p of the next, and a tombstone goes where its Put went.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pipeline import records

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
MEBIBYTE = 1 << 20

Cleanup = Literal["delete", "compact", "compact,delete"]
Family = Literal["stream", "table"]


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic: what its keys and values are, how long it keeps them, how many bytes one record may have."""

    name: str
    key: str
    value: Any
    cleanup: Cleanup
    family: Family
    summary: str
    retention_ms: int = -1
    segment_ms: int = 5 * MINUTE
    segment_bytes: int = 16 * MEBIBYTE
    max_bytes: int = MEBIBYTE
    outward: bool = False

    def settings(self) -> dict[str, str]:
        """Kafka's topic configuration, names and values as Kafka spells them (`forgetting`: why each stands here)."""
        wanted = {
            "cleanup.policy": self.cleanup,
            "retention.ms": str(self.retention_ms),
            "segment.ms": str(self.segment_ms),
            "segment.bytes": str(self.segment_bytes),
            "max.message.bytes": str(self.max_bytes),
            # A producer's own timestamp could stop a segment from rolling, and with it the erasure.
            "message.timestamp.type": "LogAppendTime",
            # Ciphertext does not compress, and an audit must be able to read the files.
            "compression.type": "uncompressed",
            "file.delete.delay.ms": str(SECOND),
        }
        if "compact" in self.cleanup:
            wanted |= {
                "max.compaction.lag.ms": str(self.segment_ms),
                "min.cleanable.dirty.ratio": "0.1",
                # How long an offline consumer may be away and still learn of every deletion.
                "delete.retention.ms": str(DAY),
            }
        return wanted


FRAMES = Topic(
    "frames",
    "camera",
    records.Frame,
    "delete",
    "stream",
    "sampled pictures, sealed",
    retention_ms=MINUTE,
    segment_ms=MINUTE,
    segment_bytes=64 * MEBIBYTE,
    max_bytes=4 * MEBIBYTE,
)
FACES = Topic(
    "faces",
    "faceId",
    records.Face,
    "compact,delete",
    "stream",
    "detected faces with sealed templates, until their TTL",
    retention_ms=25 * HOUR,
    segment_ms=10 * MINUTE,
)
IDENTIFICATIONS = Topic(
    "identifications",
    "trackId",
    records.Identification,
    "compact,delete",
    "stream",
    "who passed which camera: the outward topic",
    retention_ms=48 * HOUR,
    segment_ms=10 * MINUTE,
    outward=True,
)
COLLECTIONS = Topic("collections", "collectionUid", records.Collection, "compact", "table", "the galleries")
PERSONS = Topic("persons", "personId", records.Person, "compact", "table", "the enrolled persons")
TEMPLATES = Topic(
    "templates",
    "ownerUid/persistedFaceId",
    records.Template,
    "compact",
    "table",
    "the enrolled templates, sealed",
    segment_ms=10 * MINUTE,
)
MEMBERSHIPS = Topic(
    "memberships",
    "collectionUid/personId",
    records.Membership,
    "compact",
    "table",
    "who belongs to which DynamicPersonGroup",
)
OPERATIONS = Topic(
    "operations",
    "operationId",
    records.Operation,
    "compact,delete",
    "table",
    "the outcome of every command",
    retention_ms=48 * HOUR,
)
COMMANDS = Topic(
    "commands",
    "collection kind/id",
    records.AnyCommand,
    "delete",
    "table",
    "what was asked for",
    retention_ms=7 * DAY,
)
LEDGER = Topic(
    "ledger",
    "camera/session/stage",
    records.Ledger,
    "compact,delete",
    "stream",
    "what each stage has done with every frame",
    retention_ms=30 * DAY,
)
GAPS = Topic(
    "gaps",
    "camera",
    records.Gap,
    "delete",
    "stream",
    "frames that were lost, and why",
    retention_ms=30 * DAY,
    segment_ms=HOUR,
)
DEAD_LETTERS = Topic(
    "dead-letters",
    "source topic",
    records.DeadLetter,
    "delete",
    "table",
    "where records stand that can never work",
    retention_ms=7 * DAY,
    segment_ms=HOUR,
)

TOPICS: tuple[Topic, ...] = (
    FRAMES,
    FACES,
    IDENTIFICATIONS,
    COMMANDS,
    COLLECTIONS,
    PERSONS,
    TEMPLATES,
    MEMBERSHIPS,
    OPERATIONS,
    LEDGER,
    GAPS,
    DEAD_LETTERS,
)
TABLES = (COLLECTIONS, PERSONS, TEMPLATES, MEMBERSHIPS)
# What decides who may be named.
LIVE = (COLLECTIONS, PERSONS, TEMPLATES)

Shell = Literal["capture", "worker", "keeper", "client"]


@dataclass(frozen=True, slots=True)
class Node:
    """A stage on the map. `reads` is partitioned work, `follows` are whole tables, `replays` what it wrote itself."""

    name: str
    shell: Shell
    summary: str
    reads: Topic | None = None
    follows: tuple[Topic, ...] = ()
    replays: tuple[Topic, ...] = ()
    writes: tuple[Topic, ...] = ()

    @property
    def input(self) -> Topic:
        """The topic whose partitions are the stage's work; ValueError for a node that reads none."""
        if self.reads is None:
            raise ValueError(f"{self.name} reads no topic")
        return self.reads


CAPTURE = Node("capture", "capture", "reads a camera, samples and numbers its frames", writes=(FRAMES, LEDGER, GAPS))
DETECT = Node(
    "detect",
    "worker",
    "finds faces, keeps tracks, chooses best shots",
    reads=FRAMES,
    replays=(LEDGER,),
    writes=(FACES, LEDGER, GAPS, DEAD_LETTERS),
)
IDENTIFY = Node(
    "identify",
    "keeper",
    "matches faces against the galleries; the live set decides",
    reads=FACES,
    follows=LIVE,
    replays=(IDENTIFICATIONS,),
    writes=(IDENTIFICATIONS, DEAD_LETTERS),
)
EXPIRE = Node(
    "expire",
    "keeper",
    "puts an end to faces at their TTL and destroys their keys",
    reads=FACES,
    replays=(FACES,),
    writes=(FACES, DEAD_LETTERS),
)
CLIENT = Node(
    "api, cli",
    "client",
    "asks for changes and waits for their outcome; answers as the Face service does",
    follows=(FACES, *TABLES, OPERATIONS),
    writes=(COMMANDS, FACES),
)
CONTROL = Node(
    "control",
    "keeper",
    "the one writer of the tables: checks commands, destroys keys",
    reads=COMMANDS,
    replays=(*TABLES, OPERATIONS),
    writes=(*TABLES, OPERATIONS, DEAD_LETTERS),
)
ENROL = Node(
    "enrol",
    "worker",
    "keeps Milvus in step with the templates",
    reads=TEMPLATES,
    writes=(DEAD_LETTERS,),
)

NODES: tuple[Node, ...] = (CAPTURE, DETECT, IDENTIFY, EXPIRE, CLIENT, CONTROL, ENROL)
STAGES: Mapping[str, Node] = {node.name: node for node in NODES if node.shell in ("worker", "keeper")}


TOGETHER = {records.DIRECTORY: records.DIRECTORY, "dynamicpersongroup": records.DIRECTORY, "facelist": "facelist"}


@dataclass(frozen=True, slots=True)
class Scale:
    """Partition counts: 4 and 1 on one machine, 32 and 8 for a fleet. They never change on a living deployment."""

    streams: int = 4
    tables: int = 1

    def partitions(self, topic: Topic) -> int:
        return self.streams if topic.family == "stream" else self.tables

    def of_camera(self, camera: str) -> int:
        """The partition of the streams where a camera's records live."""
        return zlib.crc32(camera.encode()) % self.streams

    def of_face(self, face_id: str) -> int:
        """The partition of `faces` where a face lives that came through the API."""
        return zlib.crc32(face_id.encode()) % self.streams

    def of_scope(self, scope: str) -> int:
        """The partition of the tables where a collection, its persons and its templates live.

        What is counted or checked together has one owner, and so one partition: the PersonDirectory with its
        DynamicPersonGroups, and all FaceLists, of which there may be 64.
        """
        together = TOGETHER.get(scope.partition("/")[0], scope)
        return zlib.crc32(together.encode()) % self.tables


@dataclass(frozen=True, slots=True)
class Deployment:
    """The map as it stands on one cluster: partitions, replicas, and a prefix where the cluster is shared."""

    scale: Scale = field(default_factory=Scale)
    replication: int = 1
    prefix: str = ""

    def name(self, topic: Topic) -> str:
        return self.prefix + topic.name

    def group(self, node: Node) -> str:
        """The consumer group of a stage, which is also what its transactional ids begin with."""
        return self.prefix + node.name
