"""May a person be named after her deletion was acknowledged? One person, one partition of `identifications`.

What stands here for what really runs:

| here | there |
|---|---|
| the search proposes | `Identify.prepare`: the gallery may return anybody, so nothing is assumed of Milvus |
| the live set admits, or drops | `Identify.decide`, by `LiveSet.may_name` |
| a request is sent, the broker appends it | `Keeper._commit`: the transaction is sent, and ends |
| a worker reads the enrolment, the tombstone | `Follower.poll` in `Keeper._tick_those_due` |
| a new owner comes | `Keeper._own`: `producer.start()` is InitProducerId, the replay comes after it |
| kill -9 | the process is gone; what it sent is still in the network |
| the tombstone is acknowledged by the broker | the end of control's transaction (`stages/control`, `persons.forget`) |
| a watermark | tombstone applied, nothing in flight: `Withdrawal.tick` in `Keeper._tick`, by the own producer |
| the eraser waits | `Erase._behind`: every partition's newest watermark is behind the tombstones |
| the eraser fences | `Upkeeper._take_over`: InitProducerId with a silent partition's transactional id |

Each rule of `Protocol` can be broken alone, and each of the others then names a ghost. An old owner may run on beside
the new one: nobody tells it. `faceline bench simulate` runs the real code in place of these words.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from tests.protocol.search import Verdict, search


class Log(IntEnum):
    """What the table `persons` holds of the person."""

    ENROLLED = 0
    TOMBSTONE = 1
    CLEANED = 2  # compacted, and `delete.retention.ms` is over: not even the tombstone is left


class Known(IntEnum):
    """What a worker has read of that."""

    NOTHING = 0
    ALIVE = 1
    DELETED = 2


class Phase(IntEnum):
    """How far a worker is with a face of the person."""

    IDLE = 0
    PROPOSED = 1
    ADMITTED = 2
    SENT = 3


class Worker(NamedTuple):
    """A process that believes that the partition is its own."""

    epoch: int
    known: Known
    phase: Phase


class World(NamedTuple):
    """`requests` are the epochs of what is on its way; `saved` says that an old end, or a local store, was kept."""

    log: Log = Log.ENROLLED
    acknowledged: bool = False
    epoch: int = 1
    watermark: int = 0
    workers: tuple[Worker, ...] = (Worker(1, Known.ALIVE, Phase.IDLE),)
    requests: tuple[int, ...] = ()
    saved: bool = False
    ghost: bool = False


@dataclass(frozen=True, slots=True)
class Protocol:
    """The rules that can be broken one by one; as it stands, the whole protocol."""

    waits: bool = True  # the acknowledgement waits for a watermark or a fence
    fences: bool = True  # the broker refuses the requests of an earlier epoch
    flushes: bool = True  # a watermark is sent when nothing is in flight
    replays: bool = True  # a new owner reads the table to its end
    watermark_is_fenced: bool = True  # it comes from the transactional producer
    reads_end_after_init: bool = True  # the end to replay to is asked for after InitProducerId
    gate_is_live_set: bool = True  # else a list of the deleted
    cleans: bool = True  # Kafka forgets tombstones
    keeps_local_store: bool = False  # which may be older than `delete.retention.ms`
    epochs: int = 3
    workers: int = 2


def verdict(protocol: Protocol) -> Verdict:
    """Whether any order of events names the person after the acknowledgement."""
    return search(World(), lambda world: _moves(protocol, world), lambda world: world.ghost)


def _moves(protocol: Protocol, world: World) -> Iterator[tuple[str, World]]:
    for place, worker in enumerate(world.workers):
        yield from _worker_moves(protocol, world, place, worker)
    for epoch in set(world.requests):
        yield _arrival(protocol, world, epoch)
    yield from _ownership_moves(protocol, world)
    yield from _deletion_moves(protocol, world)


def _worker_moves(protocol: Protocol, world: World, place: int, worker: Worker) -> Iterator[tuple[str, World]]:
    name = f"worker {worker.epoch}"

    def with_worker(*changed: Worker) -> World:
        return world._replace(workers=world.workers[:place] + changed + world.workers[place + 1 :])

    match worker.phase:
        case Phase.IDLE:
            yield f"{name}: the search proposes her", with_worker(worker._replace(phase=Phase.PROPOSED))
        case Phase.PROPOSED:
            alive = worker.known is Known.ALIVE if protocol.gate_is_live_set else worker.known is not Known.DELETED
            if alive:
                yield f"{name}: the gate admits her", with_worker(worker._replace(phase=Phase.ADMITTED))
            else:
                yield f"{name}: the gate drops her", with_worker(worker._replace(phase=Phase.IDLE))
        case Phase.ADMITTED if len(world.requests) < 2:
            sent = with_worker(worker._replace(phase=Phase.SENT))
            yield f"{name}: sends", sent._replace(requests=tuple(sorted((*world.requests, worker.epoch))))
    if worker.known is Known.ALIVE and world.log is Log.TOMBSTONE:
        yield f"{name}: reads the tombstone", with_worker(worker._replace(known=Known.DELETED))
    if worker.known is Known.NOTHING and world.log is not Log.CLEANED:
        yield f"{name}: reads the enrolment", with_worker(worker._replace(known=Known.ALIVE))
    if worker.known is Known.ALIVE and protocol.keeps_local_store:
        yield f"{name}: saves its local store", world._replace(saved=True)
    nothing_in_flight = worker.phase in (Phase.IDLE, Phase.PROPOSED) or not protocol.flushes
    heard = worker.epoch == world.epoch or not (protocol.fences and protocol.watermark_is_fenced)
    if worker.known is Known.DELETED and nothing_in_flight and heard:
        yield f"{name}: publishes its watermark", world._replace(watermark=max(world.watermark, worker.epoch))
    yield f"{name}: kill -9", with_worker()


def _arrival(protocol: Protocol, world: World, epoch: int) -> tuple[str, World]:
    requests = list(world.requests)
    requests.remove(epoch)
    left = world._replace(requests=tuple(requests))
    if protocol.fences and epoch != world.epoch:
        survivors = tuple(worker for worker in world.workers if worker.epoch != epoch)
        return f"the broker refuses epoch {epoch}, which ends its worker", left._replace(workers=survivors)
    idle = tuple(
        worker._replace(phase=Phase.IDLE) if worker.epoch == epoch and worker.phase is Phase.SENT else worker
        for worker in world.workers
    )
    return f"the broker appends her name from epoch {epoch}", left._replace(workers=idle, ghost=world.acknowledged)


def _ownership_moves(protocol: Protocol, world: World) -> Iterator[tuple[str, World]]:
    if world.epoch < protocol.epochs and len(world.workers) < protocol.workers:
        epoch = world.epoch + 1
        owner = Worker(epoch, _restored(protocol, world), Phase.IDLE)
        yield f"worker {epoch} becomes the owner", world._replace(epoch=epoch, workers=(*world.workers, owner))
    if not protocol.reads_end_after_init and world.log is Log.ENROLLED and not world.saved:
        yield "the next owner asks for the end of persons", world._replace(saved=True)


def _restored(protocol: Protocol, world: World) -> Known:
    if world.saved and not protocol.reads_end_after_init:
        return Known.ALIVE
    if world.saved and protocol.keeps_local_store:
        return Known.DELETED if world.log is Log.TOMBSTONE else Known.ALIVE
    match world.log:
        case Log.CLEANED:
            return Known.NOTHING
        case Log.TOMBSTONE if protocol.replays:
            return Known.DELETED
        case _:
            return Known.ALIVE


def _deletion_moves(protocol: Protocol, world: World) -> Iterator[tuple[str, World]]:
    match world.log:
        case Log.ENROLLED:
            yield "the broker acknowledges the tombstone", world._replace(log=Log.TOMBSTONE)
        case Log.TOMBSTONE if world.acknowledged:
            if protocol.cleans:
                yield "Kafka forgets the tombstone", world._replace(log=Log.CLEANED)
        case Log.TOMBSTONE if not protocol.waits:
            yield "ACKNOWLEDGED", world._replace(acknowledged=True)
        case Log.TOMBSTONE:
            # Whose watermark it is does not matter: the eraser need not know the epoch of the day.
            if world.watermark > 0:
                yield "ACKNOWLEDGED for a watermark", world._replace(acknowledged=True)
            if protocol.fences and world.epoch < protocol.epochs:
                yield "ACKNOWLEDGED, for the eraser fenced", world._replace(epoch=world.epoch + 1, acknowledged=True)
        case Log.CLEANED:
            pass
