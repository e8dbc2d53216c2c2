"""How far everybody has come with the tables: a view's own positions, and the watermarks of others."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.changes import Put, Tombstone
from pipeline.codec import Received
from pipeline.records import Watermark
from pipeline.topology import GATE, TABLES


@dataclass(slots=True)
class Positions:
    """What a view of the tables has taken into account: the offset behind its newest record, by "topic/partition"."""

    behind: dict[str, int] = field(default_factory=dict)
    tombstones: int = 0

    def apply(self, received: Received) -> None:
        """To be called once the view has learnt from the record; those of other topics are not for us."""
        if received.topic in TABLES:
            self.behind[place(received)] = received.offset + 1
            self.tombstones += isinstance(received.change, Tombstone)


@dataclass(slots=True)
class Watermarks:
    """The newest watermark of each partition of `faces`."""

    newest: dict[int, Watermark] = field(default_factory=dict)

    def apply(self, received: Received) -> None:
        if received.topic is GATE and isinstance(received.change, Put):
            self.newest[received.partition] = received.change.value

    def behind(self, partition: int, wanted: Mapping[str, int]) -> bool:
        """Whether the partition's owner may not yet have taken all of `wanted` (next offsets) into account."""
        known = self.newest.get(partition)
        return known is None or any(known.positions.get(where, 0) < offset for where, offset in wanted.items())


def place(received: Received) -> str:
    """Where a record stands, as watermarks spell it."""
    return f"{received.topic.name}/{received.partition}"
