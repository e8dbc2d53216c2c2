"""From a stage's outputs to records for the wire, and to effects on keys: the same for both shells."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from pipeline.changes import Put
from pipeline.codec import Unusable, Wire, encode
from pipeline.contract import cloud_event
from pipeline.records import DeadLetter, Identification
from pipeline.stages.contract import DestroyExpiredKeys, DestroyKeys, Emit, Nudge, Output, Purge, TakeOver, Upkeep
from pipeline.topology import DEAD_LETTERS, Deployment


class KeyShredder(Protocol):
    """The part of a key store that forgets; both calls may be repeated."""

    def destroy(self, kids: Iterable[str]) -> None: ...

    def destroy_expired(self, now: datetime) -> int: ...


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record with its place: topic name and partition on the cluster."""

    topic: str
    partition: int
    wire: Wire

    def arguments(self) -> dict[str, Any]:
        """As aiokafka's `send` takes it: headers must be a list there."""
        wire = self.wire
        return {
            "topic": self.topic,
            "partition": self.partition,
            "key": wire.key,
            "value": wire.value,
            "headers": list(wire.headers),
        }


@dataclass(frozen=True, slots=True)
class Outbox:
    """What one step of one partition causes, in order: keys to destroy, then records to write, then the upkeep."""

    kids: tuple[str, ...] = ()
    expired_at: datetime | None = None
    records: Sequence[Outgoing] = field(default_factory=tuple)
    dead_letters: int = 0
    told: Sequence[Identification] = field(default_factory=tuple)
    upkeep: Sequence[Upkeep] = field(default_factory=tuple)

    def destroy_keys(self, keys: KeyShredder) -> None:
        """Blocking; repeated after a crash, because what asks for it is read again."""
        if self.kids:
            keys.destroy(self.kids)
        if self.expired_at is not None:
            keys.destroy_expired(self.expired_at)


def outbox(
    deployment: Deployment,
    partition: int,
    outputs: Iterable[Output | Unusable],
    now: datetime,
    *,
    attempts: int = 1,
) -> Outbox:
    """Spell the outputs of a step on `partition`. ValueError where a record exceeds its topic's size: a bug."""
    kids: list[str] = []
    expired_at: datetime | None = None
    records: list[Outgoing] = []
    dead_letters = 0
    told: list[Identification] = []
    upkeep: list[Upkeep] = []
    for output in outputs:
        match output:
            case DestroyKeys():
                kids += output.kids
            case DestroyExpiredKeys():
                expired_at = output.now
            case TakeOver() | Nudge() | Purge():
                upkeep.append(output)
            case Unusable():
                records.append(_outgoing(deployment, partition, dead_letter(output, now, attempts), now))
                dead_letters += 1
            case Emit():
                records.append(_outgoing(deployment, partition, output, now))
                if isinstance(output.change, Put) and isinstance(output.change.value, Identification):
                    told.append(output.change.value)
    return Outbox(tuple(kids), expired_at, records, dead_letters, told, upkeep)


def dead_letter(unusable: Unusable, now: datetime, attempts: int) -> Emit:
    """Where the record stands and why it cannot work; never what it holds."""
    letter = DeadLetter(
        topic=unusable.topic.name,
        partition=unusable.partition,
        offset=unusable.offset,
        error=unusable.error,
        attempts=attempts,
        found_at=now,
        frame=unusable.frame,
    )
    return Emit(DEAD_LETTERS, Put(unusable.topic.name, letter))


def _outgoing(deployment: Deployment, partition: int, emit: Emit, now: datetime) -> Outgoing:
    headers = cloud_event(emit.change, deployment, now) if emit.topic.outward else ()
    wire = encode(emit.topic, emit.change, headers)
    return Outgoing(deployment.name(emit.topic), partition % deployment.scale.partitions(emit.topic), wire)
