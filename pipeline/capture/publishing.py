"""From sampled pictures to records on `frames`, in order, in bounded memory, with nothing lost in silence."""

import asyncio
import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from aiokafka.errors import KafkaError, MessageSizeTooLargeError  # type: ignore[import-untyped]

from connectors.keystore import KeyDestroyed
from pipeline.capture.backlog import Room
from pipeline.capture.camera_streams import CameraStreams
from pipeline.capture.sessions import DESTROYED, OVERSIZED, UNAVAILABLE, Account
from pipeline.changes import Put
from pipeline.codec import Keys, Wire, encode, seal
from pipeline.identifiers import frame_place
from pipeline.lifetimes import frame_key
from pipeline.records import Frame, FrameId, Watch
from pipeline.topology import FRAMES

OUTAGE_SECONDS = 10.0  # of live pictures are kept while Kafka is away
LEAST_WAITING = 8  # frames
PATIENCE_SECONDS = 0.5
ON_THE_WAY = 8  # frames handed to the producer and not acknowledged
# A record also carries its key, headers and batch header, and the brokers' limit is that of the batch.
ENVELOPE_BYTES = 1 << 10


class FrameRefused(Exception):
    """The cluster's topic is not as the map has it; one line with the cure."""


class FrameKeys(Keys, Protocol):
    """A key store that finds or makes the key of a name."""

    def named(self, name: str, expires: datetime) -> str: ...


@dataclass(frozen=True, slots=True, order=True)
class Numbered:
    """A numbered frame on its way: a JPEG, `width` x `height` pixels."""

    number: int
    captured_at: datetime = field(compare=False)
    width: int = field(compare=False)
    height: int = field(compare=False)
    jpeg: bytes = field(compare=False, repr=False)
    previous: int | None = field(default=None, compare=False)


class Publisher:
    """Publishes one session's frames.

    While Kafka is away, `latest` keeps the newest 10 s here and gives up older ones, with a gap; `all` lets `offer`
    wait. Frames are sealed when they are sent: the key's short life must not pass in this queue.
    """

    def __init__(
        self,
        account: Account,
        watch: Watch,
        streams: CameraStreams,
        keys: FrameKeys,
        room: Room,
        *,
        fps: float,
        clock: Callable[[], datetime],
    ) -> None:
        self._account = account
        self._watch = watch
        self._streams = streams
        self._keys = keys
        self._room = room
        self._clock = clock
        # Who waits needs no store, and what is stored is not yet in the lag that it waits for.
        self._capacity = LEAST_WAITING if room.waits else max(LEAST_WAITING, math.ceil(OUTAGE_SECONDS * fps))
        self._waiting: list[Numbered] = []
        self._underway: set[int] = set()
        self._changed = asyncio.Event()
        self._fault: BaseException | None = None

    async def offer(self, shot: Numbered) -> None:
        """Take a frame over."""
        if self._room.waits:
            await self._until(lambda: len(self._waiting) < self._capacity)
        while len(self._waiting) >= self._capacity:
            self._account.lose(heapq.heappop(self._waiting).number, UNAVAILABLE)
        heapq.heappush(self._waiting, shot)
        self._changed.set()

    async def drained(self) -> None:
        """Wait until every frame that was offered is on Kafka, or has its gap."""
        await self._until(lambda: not self._waiting and not self._underway)

    async def run(self) -> None:
        """Publish until cancelled; raises what the brokers refuse for good (a right, a topic that is not there)."""
        while True:
            await self._until(self._may_go_on)
            if self._fault is not None:
                raise self._fault
            shot = heapq.heappop(self._waiting)
            self._underway.add(shot.number)
            self._changed.set()
            await self._send(shot)

    def _may_go_on(self) -> bool:
        return self._fault is not None or (bool(self._waiting) and len(self._underway) < ON_THE_WAY)

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self._changed.clear()
            await self._changed.wait()

    async def _send(self, shot: Numbered) -> None:
        # One that comes a second time keeps its place in the chain.
        previous = self._account.published if shot.previous is None else shot.previous
        shot = replace(shot, previous=previous)
        try:
            wire = await asyncio.to_thread(self._sealed, shot, previous)
        except KeyDestroyed:
            # By `erase account`, with all others: no name gets a second key, so it is the next half minute's turn.
            self._underway.discard(shot.number)
            self._again(shot, DESTROYED)
            await asyncio.sleep(PATIENCE_SECONDS if self._room.waits else 0)
            return
        if wire is None:
            self._account.lose(shot.number, OVERSIZED)
            self._underway.discard(shot.number)
            self._changed.set()
            return
        self._account.published = max(self._account.published, shot.number)
        sent = await self._streams.send(FRAMES, wire)
        sent.add_done_callback(lambda result: self._settle(shot, result.exception()))

    def _sealed(self, shot: Numbered, previous: int) -> Wire | None:
        """The record of a frame; None where no broker would take it."""
        identity = FrameId(self._account.camera, self._account.session, shot.number)
        image = seal(self._keys, self._key(), shot.jpeg, topic=FRAMES, key=frame_place(identity), field="image")
        frame = Frame(
            id=identity,
            previous=previous,
            captured_at=shot.captured_at,
            width=shot.width,
            height=shot.height,
            image=image,
            watch=self._watch,
        )
        if len(image.ciphertext) > FRAMES.max_bytes - ENVELOPE_BYTES:
            return None
        return encode(FRAMES, Put(self._account.camera, frame))

    def _key(self) -> str:
        key = frame_key(self._account.camera, self._clock())
        return self._keys.named(key.name, key.expires)

    def _settle(self, shot: Numbered, error: BaseException | None) -> None:
        self._underway.discard(shot.number)
        if error is None:
            self._room.taken()
        elif isinstance(error, MessageSizeTooLargeError):
            # Its number is spent: an idempotent producer gets nothing through after it.
            self._fault = FrameRefused(
                f"the cluster refuses a frame of {len(shot.jpeg)} bytes, the map allows {FRAMES.max_bytes}: "
                f"run faceline topics apply, and let the brokers take as much"
            )
        elif isinstance(error, KafkaError) and error.retriable:
            # The producer gave up on a partition that has no leader.
            self._again(shot, UNAVAILABLE)
        else:
            self._fault = error
        self._changed.set()

    def _again(self, shot: Numbered, reason: str) -> None:
        """Where nothing may be lost, it is sent once more."""
        if self._room.waits:
            heapq.heappush(self._waiting, shot)
        else:
            self._account.lose(shot.number, reason)
        self._changed.set()
