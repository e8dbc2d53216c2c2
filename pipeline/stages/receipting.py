"""What becomes of a deletion on the chain of receipts: what a record of `operations` puts there."""

from collections.abc import Sequence

from pipeline.changes import Put
from pipeline.codec import Received
from pipeline.records import AuditEvent, Bound, Erasure, Operation, Receipt, Span
from pipeline.views import Seen


def done(received: Received) -> tuple[Operation, Erasure] | None:
    """The deletion that a record calls done, if it does."""
    match received.change:
        case Put(value=Operation(outcome="succeeded", erasure=Erasure() as erasure) as operation):
            return operation, erasure
        case _:
            return None


def events(received: Received, bounds: tuple[Bound, ...]) -> Sequence[AuditEvent]:
    """What a record puts on the chain."""
    if (erased := done(received)) is not None:
        return [_receipt(*erased, bounds)]
    match received.change:
        case Put(value=Operation(found=found)):
            return found
        case _:
            return ()


def _receipt(operation: Operation, erasure: Erasure, bounds: tuple[Bound, ...]) -> Receipt:
    return Receipt(
        erasure=operation.operation_id,
        principal=erasure.principal,
        kind=erasure.kind,
        subject=erasure.subject,
        requested=operation.requested,
        effective=operation.finished,
        counts=erasure.counts,
        keys=erasure.keys,
        tombstones=erasure.tombstones,
        passed=erasure.passed,
        bounds=bounds,
    )


def span(place: str, seen: Seen) -> Span:
    """Where the tombstones stand that were seen at "topic/partition"."""
    topic, _, partition = place.rpartition("/")
    return Span(topic=topic, partition=int(partition), first=seen.first, last=seen.last, count=seen.count)
