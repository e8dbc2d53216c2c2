"""What became of every deletion: how far it is, whether it has its receipt, and what was searched since."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime

from pipeline.changes import Put
from pipeline.codec import Received
from pipeline.records import AuditEntry, ErasedKind, Erasure, Operation, Receipt, Verified
from pipeline.views import Tombstones, Watermarks


@dataclass(frozen=True, slots=True)
class Erased:
    """A deletion; `effective` is None while identify has partitions, `behind`, that may still name what it is about.

    `keys` are the fingerprints of the keys that were destroyed with it (`receipts.destroyed_keys`): none with a face of
    a person.
    """

    id: str
    kind: ErasedKind
    subject: str
    requested: datetime
    effective: datetime | None
    keys: tuple[str, ...]
    signed: bool = False
    verified: tuple[Verified, ...] = ()
    behind: tuple[int, ...] = ()


@dataclass(slots=True)
class Erasures:
    """Fed with the tables, `operations`, `gate` and `audit`; `partitions` is how many `faces` has."""

    partitions: int
    entries: dict[str, list[AuditEntry]] = field(default_factory=lambda: defaultdict(list))
    _operations: dict[str, Operation] = field(default_factory=dict)
    _tombstones: Tombstones = field(default_factory=Tombstones)
    _watermarks: Watermarks = field(default_factory=Watermarks)

    def apply(self, received: Received) -> None:
        self._tombstones.apply(received)
        self._watermarks.apply(received)
        match received.change:
            case Put(value=AuditEntry() as entry):
                self.entries[entry.event.erasure].append(entry)
            case Put(value=Operation(erasure=Erasure()) as operation):
                self._operations[operation.operation_id] = operation
            case _:  # the tables are looked at for their tombstones alone
                pass

    def told(self) -> list[Erased]:
        """Every deletion that is known of, in the order in which they were asked for."""
        asked = [self._asked(each, each.erasure) for each in self._operations.values() if each.erasure is not None]
        older = [
            self._of_receipt(entries[0].event)
            for erasure, entries in self.entries.items()
            if erasure not in self._operations and isinstance(entries[0].event, Receipt)
        ]
        return sorted([*asked, *older], key=lambda each: each.requested)

    def _asked(self, operation: Operation, erasure: Erasure) -> Erased:
        is_done = operation.outcome == "succeeded"
        return Erased(
            id=operation.operation_id,
            kind=erasure.kind,
            subject=erasure.subject,
            requested=operation.requested,
            effective=operation.finished if is_done else None,
            keys=erasure.keys,
            signed=operation.operation_id in self.entries,
            verified=self._verified(operation.operation_id),
            behind=() if is_done else self._behind(operation),
        )

    def _of_receipt(self, receipt: Receipt) -> Erased:
        return Erased(
            id=receipt.erasure,
            kind=receipt.kind,
            subject=receipt.subject,
            requested=receipt.requested,
            effective=receipt.effective,
            keys=receipt.keys,
            signed=True,
            verified=self._verified(receipt.erasure),
        )

    def _verified(self, erasure: str) -> tuple[Verified, ...]:
        entries = self.entries.get(erasure, ())
        return tuple(entry.event for entry in entries if isinstance(entry.event, Verified))

    def _behind(self, operation: Operation) -> tuple[int, ...]:
        wanted = {place: seen.last + 1 for place, seen in self._tombstones.of(operation.operation_id).items()}
        return tuple(each for each in range(self.partitions) if self._watermarks.behind(each, wanted))
