"""Every topic: what its keys and values are, and how long it keeps them."""

from dataclasses import dataclass
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
AUDIT = Topic(
    "audit",
    "erasureId",
    records.AuditEntry,
    "delete",
    "table",
    "receipts of erasures, signed and chained",
    retention_ms=400 * DAY,
    segment_ms=HOUR,
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
GATE = Topic(
    "gate",
    "stage",
    records.Watermark,
    "compact",
    "stream",
    "how far identify has come with the tables",
    segment_ms=10 * MINUTE,
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
    AUDIT,
    GATE,
    LEDGER,
    GAPS,
    DEAD_LETTERS,
)
TABLES = (COLLECTIONS, PERSONS, TEMPLATES, MEMBERSHIPS)
