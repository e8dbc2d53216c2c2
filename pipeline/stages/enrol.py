"""Keep the galleries' index in step with the templates; the only writer of it."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.changes import Put, Tombstone
from pipeline.codec import Received, Unusable
from pipeline.records import Template
from pipeline.stages.contract import Output
from pipeline.topology import ENROL, Node


@dataclass(frozen=True, slots=True)
class Entry:
    """An index entry: a template in the clear, for the index alone; vector (dimension,) float32."""

    template: Template
    vector: NDArray[np.float32]


class Index(Protocol):
    """Where the templates can be searched. Every call may be repeated; each waits while the engine is absent."""

    def upsert(self, entries: Sequence[Entry]) -> None: ...

    def delete(self, persisted_face_ids: Sequence[str]) -> None: ...

    def flush(self) -> None:
        """Make what was written fast to search."""
        ...


@dataclass(frozen=True, slots=True)
class Enrol:
    """Apply the last word about every template of a batch to the index.

    `open_template` returns the vector, or None once the person's key is destroyed: a tombstone is then on its way.
    There is no state: the index itself is what a restart continues from.
    """

    index: Index
    open_template: Callable[[Template], NDArray[np.float32] | None]
    batch: int = 200

    @property
    def node(self) -> Node:
        return ENROL

    def begin(self) -> None:
        return None

    def replay(self, state: None, received: Received) -> None:
        return None

    def prepare(self, inputs: Sequence[Received]) -> list[Output | Unusable]:
        last: dict[str, Received] = {received.change.key: received for received in inputs}
        entries, gone, unusable = [], [], list[Output | Unusable]()
        for received in last.values():
            match received.change:
                case Tombstone(key=key):
                    gone.append(key.rpartition("/")[2])
                case Put(value=template):
                    vector = self.open_template(template)
                    if vector is not None and not np.isfinite(vector).all():
                        unusable.append(
                            Unusable(received.topic, received.partition, received.offset, "the template is not finite")
                        )
                    elif vector is not None:
                        entries.append(Entry(template, vector))
        by_collection: dict[str, list[Entry]] = defaultdict(list)
        for entry in entries:
            by_collection[entry.template.collection].append(entry)
        for members in by_collection.values():
            self.index.upsert(members)
        if gone:
            self.index.delete(gone)
        self.index.flush()
        return unusable

    def step(
        self, state: None, prepared: Sequence[Output | Unusable], now: datetime
    ) -> tuple[None, list[Output | Unusable]]:
        return None, list(prepared)

    def may_pass_over(self, received: Received) -> bool:
        """Not a tombstone: what it takes out of the index, no later record would."""
        return not isinstance(received.change, Tombstone)

    def pass_over(self, state: None, received: Received, now: datetime) -> tuple[None, list[Output]]:
        """Nobody waits for a template."""
        return None, []
