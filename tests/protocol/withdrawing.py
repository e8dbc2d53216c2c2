"""Is every identification that named a deleted person withdrawn before the acknowledgement? One partition, one track.

Identify alone writes `identifications`, so it also writes the tombstones of those that named the person. What stands
here for what really runs, beyond what `naming` says:

| here | there |
|---|---|
| the gate admits, an identification is sent, commits | `Identify.decide`, `Keeper._commit`, the transaction's end |
| what a worker knows to be published | `stages/identify.py`, `Known.by_person`: who was named on which track |
| a new owner replays | `Keeper._own`: InitProducerId, then `Replay` reads the stage's own output |
| a watermark with the tombstone | `Withdrawal.tick`; the watermark's transaction begins when all show the tombstone |
| the eraser fences, reads, withdraws | it becomes the owner of a silent partition, and writes as its owner |

The eraser need not be the *transactional* owner for this promise: an ordinary producer's tombstone is safe here, too,
as long as it is written after the fence and before the acknowledgement.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import NamedTuple

from tests.protocol.search import Verdict, search


class Published(IntEnum):
    """The last word on the track."""

    NOTHING = 0
    NAMES_HER = 1
    WITHDRAWN = 2


class Phase(IntEnum):
    """What a worker is at."""

    IDLE = 0
    ADMITTED = 1
    IDENTIFICATION_SENT = 2
    WATERMARK_SENT = 3


class Kind(StrEnum):
    """What a transaction on its way holds."""

    IDENTIFICATION = "identification"
    WATERMARK = "watermark"
    WATERMARK_AND_TOMBSTONE = "watermark with the tombstone"
    ERASERS_TOMBSTONE = "the eraser's tombstone"


class Request(NamedTuple):
    """A transaction in the network: kill -9 does not call it back."""

    epoch: int
    kind: Kind


class Worker(NamedTuple):
    """A process that believes that the partition is its own."""

    epoch: int
    knows_deletion: bool
    phase: Phase
    knows_published: bool  # that the track names her


class World(NamedTuple):
    """`eraser` is the epoch that the eraser fenced with, 0 when it is not at work."""

    deleted: bool = False
    acknowledged: bool = False
    epoch: int = 1
    published: Published = Published.NOTHING
    workers: tuple[Worker, ...] = (Worker(1, False, Phase.IDLE, False),)
    requests: tuple[Request, ...] = ()
    watermark: int = 0
    eraser: int = 0


@dataclass(frozen=True, slots=True)
class Protocol:
    """The rules that can be broken one by one; as it stands, the whole protocol."""

    withdraws_with_watermark: bool = True  # it is never seen before the tombstone
    replays_after_init: bool = True  # a new owner reads its output after InitProducerId
    eraser_withdraws: bool = True  # before it acknowledges
    eraser_is_owner: bool = True  # it writes by the partition's transactional producer
    flushes: bool = True  # a watermark is sent when nothing is in flight
    epochs: int = 4
    workers: int = 2
    in_network: int = 3


def verdict(protocol: Protocol) -> Verdict:
    """Whether any order of events leaves her named after the acknowledgement."""
    return search(
        World(),
        lambda world: _moves(protocol, world),
        lambda world: world.acknowledged and world.published is Published.NAMES_HER,
    )


def _moves(protocol: Protocol, world: World) -> Iterator[tuple[str, World]]:
    for place, worker in enumerate(world.workers):
        yield from _worker_moves(protocol, world, place, worker)
    for request in set(world.requests):
        yield _arrival(world, request)
    yield from _ownership_moves(protocol, world)
    if not world.deleted:
        yield "the broker acknowledges the tombstone of the person", world._replace(deleted=True)
    elif not world.acknowledged:
        yield from _eraser_moves(protocol, world)


def _sent(world: World, request: Request) -> tuple[Request, ...]:
    return tuple(sorted((*world.requests, request)))


def _worker_moves(protocol: Protocol, world: World, place: int, worker: Worker) -> Iterator[tuple[str, World]]:
    name = f"worker {worker.epoch}"

    def with_worker(*changed: Worker) -> World:
        return world._replace(workers=world.workers[:place] + changed + world.workers[place + 1 :])

    if worker.phase is Phase.IDLE and not worker.knows_deletion:
        yield f"{name}: the gate admits her", with_worker(worker._replace(phase=Phase.ADMITTED))
    room = len(world.requests) < protocol.in_network
    if worker.phase is Phase.ADMITTED and room:
        after = with_worker(worker._replace(phase=Phase.IDENTIFICATION_SENT))
        requests = _sent(world, Request(worker.epoch, Kind.IDENTIFICATION))
        yield f"{name}: sends an identification", after._replace(requests=requests)
    if world.deleted and not worker.knows_deletion:
        yield f"{name}: reads the tombstone of the person", with_worker(worker._replace(knows_deletion=True))
    idle = worker.phase is Phase.IDLE
    in_flight = worker.phase in (Phase.ADMITTED, Phase.IDENTIFICATION_SENT)
    may_say = idle or (in_flight and not protocol.flushes)
    if worker.knows_deletion and may_say and world.watermark < worker.epoch and room:
        withdraws = protocol.withdraws_with_watermark and worker.knows_published
        kind = Kind.WATERMARK_AND_TOMBSTONE if withdraws else Kind.WATERMARK
        after = with_worker(worker._replace(phase=Phase.WATERMARK_SENT if idle else worker.phase))
        yield f"{name}: sends a {kind}", after._replace(requests=_sent(world, Request(worker.epoch, kind)))
    yield f"{name}: kill -9", with_worker()


def _arrival(world: World, request: Request) -> tuple[str, World]:
    requests = list(world.requests)
    requests.remove(request)
    left = world._replace(requests=tuple(requests))
    if request.epoch != world.epoch:
        survivors = tuple(worker for worker in world.workers if worker.epoch != request.epoch)
        eraser = 0 if world.eraser == request.epoch else world.eraser
        refused = f"the broker refuses the {request.kind} of epoch {request.epoch}, which ends its sender"
        return refused, left._replace(workers=survivors, eraser=eraser)
    label = f"the {request.kind} of epoch {request.epoch} commits"
    withdrawn = Published.WITHDRAWN if world.published is Published.NAMES_HER else world.published
    watermark = max(world.watermark, request.epoch)
    match request.kind:
        case Kind.IDENTIFICATION:
            return label, left._replace(published=Published.NAMES_HER, workers=_answered(world, request, True))
        case Kind.WATERMARK:
            return label, left._replace(watermark=watermark, workers=_answered(world, request, None))
        case Kind.WATERMARK_AND_TOMBSTONE:
            workers = _answered(world, request, False)
            return label, left._replace(watermark=watermark, published=withdrawn, workers=workers)
        case Kind.ERASERS_TOMBSTONE:
            acknowledged = world.acknowledged or world.eraser == request.epoch
            return f"{label}, ACKNOWLEDGED", left._replace(published=withdrawn, acknowledged=acknowledged, eraser=0)


def _answered(world: World, request: Request, knows_published: bool | None) -> tuple[Worker, ...]:
    return tuple(
        worker._replace(
            phase=Phase.IDLE,
            knows_published=worker.knows_published if knows_published is None else knows_published,
        )
        if worker.epoch == request.epoch and worker.phase in (Phase.IDENTIFICATION_SENT, Phase.WATERMARK_SENT)
        else worker
        for worker in world.workers
    )


def _ownership_moves(protocol: Protocol, world: World) -> Iterator[tuple[str, World]]:
    if world.epoch >= protocol.epochs or len(world.workers) >= protocol.workers:
        return
    epoch = world.epoch + 1
    names_her = world.published is Published.NAMES_HER
    for replayed in {names_her} if protocol.replays_after_init else {False, names_her}:
        owner = Worker(epoch, world.deleted, Phase.IDLE, replayed)
        what = "knowing that the track names her" if replayed else "knowing of no such track"
        yield (
            f"worker {epoch} becomes the owner, {what}",
            world._replace(epoch=epoch, workers=(*world.workers, owner)),
        )


def _eraser_moves(protocol: Protocol, world: World) -> Iterator[tuple[str, World]]:
    if world.watermark > 0:
        yield "ACKNOWLEDGED for a watermark", world._replace(acknowledged=True)
    epoch = world.epoch + 1
    if epoch <= protocol.epochs and not world.eraser:
        if protocol.eraser_withdraws:
            yield "the eraser fences", world._replace(epoch=epoch, eraser=epoch)
        else:
            yield "the eraser fences, ACKNOWLEDGED", world._replace(epoch=epoch, acknowledged=True)
    tombstone = Request(world.eraser, Kind.ERASERS_TOMBSTONE)
    if not world.eraser or len(world.requests) >= protocol.in_network or tombstone in world.requests:
        return
    if world.published is Published.NAMES_HER and protocol.eraser_is_owner:
        yield "the eraser sends its tombstone", world._replace(requests=_sent(world, tombstone))
    elif world.published is Published.NAMES_HER:
        withdrawn = world._replace(published=Published.WITHDRAWN, acknowledged=True, eraser=0)
        yield "the eraser withdraws by an ordinary producer, ACKNOWLEDGED", withdrawn
    elif world.eraser == world.epoch:
        yield "the eraser finds nothing, ACKNOWLEDGED", world._replace(acknowledged=True, eraser=0)
    else:
        yield "the eraser is fenced and begins again", world._replace(eraser=0)
