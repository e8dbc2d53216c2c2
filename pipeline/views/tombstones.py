"""Where the tombstones of each operation stand: what everybody has to have taken into account before it is done."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pipeline.changes import Tombstone
from pipeline.codec import Received
from pipeline.topology import TABLES
from pipeline.views.progress import place

# Operations are kept for 48 h; nobody asks for longer.
REMEMBERED = timedelta(hours=48)


@dataclass(slots=True)
class Seen:
    """Tombstones of one operation in one partition: how many, from offset `first` to `last`."""

    first: int
    last: int
    count: int = 1


@dataclass(slots=True)
class Tombstones:
    """The spans of each operation, by "topic/partition"."""

    _spans: OrderedDict[str, dict[str, Seen]] = field(default_factory=OrderedDict)
    _begun: dict[str, datetime] = field(default_factory=dict)

    def apply(self, received: Received) -> None:
        """Learn from one record of a table; those that no operation caused are not for us."""
        if received.topic not in TABLES or not isinstance(received.change, Tombstone):
            return
        operation = received.change.cause
        if operation is None:
            return
        self._begun.setdefault(operation, received.appended_at)
        spans = self._spans.setdefault(operation, {})
        span = spans.get(place(received))
        if span is None:
            spans[place(received)] = Seen(received.offset, received.offset)
        elif received.offset > span.last:
            span.last, span.count = received.offset, span.count + 1
        while self._begun[oldest := next(iter(self._spans))] <= received.appended_at - REMEMBERED:
            self._drop(oldest)

    def of(self, operation: str) -> Mapping[str, Seen]:
        """What was seen of an operation so far."""
        return self._spans.get(operation, {})

    def _drop(self, operation: str) -> None:
        del self._spans[operation], self._begun[operation]
