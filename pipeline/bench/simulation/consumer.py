"""A simulated consumer, with the interface of aiokafka's: it reads what has come, and never commits by itself.

What aiokafka fetches beforehand is here what was visible a moment ago: a reader is always a little behind.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

from aiokafka import TopicPartition  # type: ignore[import-untyped]
from aiokafka.errors import OffsetOutOfRangeError  # type: ignore[import-untyped]

from pipeline.bench.simulation.broker import SimulatedBroker
from pipeline.bench.simulation.log import Entry, Partition
from pipeline.bench.simulation.loop import LIFE
from pipeline.bench.simulation.membership import Membership

MOST = 500
ROUNDING_S = 1e-6


@dataclass(frozen=True, slots=True)
class Record:
    """What a reader is handed."""

    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


class SimulatedConsumer:
    """Takes aiokafka's options, and heeds those that decide what is seen, and what is missed."""

    def __init__(
        self,
        broker: SimulatedBroker,
        *,
        group_id: str | None = None,
        group_instance_id: str | None = None,
        isolation_level: str = "read_uncommitted",
        auto_offset_reset: str = "latest",
        max_poll_records: int | None = None,
        **_: Any,
    ) -> None:
        self._broker = broker
        self._loop = broker.loop
        self._group_id = group_id
        self._committed = isolation_level == "read_committed"
        self._reset = auto_offset_reset
        self._most = max_poll_records or MOST
        self._positions: dict[TopicPartition, int] = {}
        self._lag = 0.0
        self._stalled: tuple[float, float] | None = None
        self._wake: asyncio.Future[None] | None = None
        self._life = LIFE.get()
        self._listener: Any = None
        self._topic = ""
        # `connectors.kafka_leaving` takes hold of it by this name.
        self._coordinator = Membership(broker, str(group_id), group_instance_id)

    def _check(self) -> None:
        if self._life is not None:
            self._life.check()

    async def start(self) -> None:
        """Begin to be a member, where there is a group and something to read."""
        self._check()
        if self._topic:
            self._coordinator.begin(self._topic, self)

    async def stop(self) -> None:
        """A static member says nothing; `connectors.kafka_leaving` has it leave."""
        await self._coordinator.end()

    def subscribe(self, topics: list[str], listener: Any = None) -> None:
        """Read what the group assigns of one topic."""
        (self._topic,) = topics
        self._listener = listener

    async def lose(self, partitions: list[TopicPartition]) -> None:
        """The group takes these back."""
        await self._tell("on_partitions_revoked", partitions)
        self._positions = {}

    async def gain(self, partitions: list[TopicPartition]) -> None:
        """The group gives these. Where the listener does not seek, it is the committed offset, or the reset policy."""
        await self._tell("on_partitions_assigned", partitions)
        for each in partitions:
            if each not in self._positions:
                committed = await self.committed(each)
                self._positions[each] = await self._reset_to(each) if committed is None else committed

    async def _tell(self, what: str, partitions: list[TopicPartition]) -> None:
        """aiokafka logs what the listener raises, and goes on."""
        try:
            await getattr(self._listener, what)(partitions)
        except Exception:
            self._broker.saw("a rebalance failed in its listener")

    async def _reset_to(self, tp: TopicPartition) -> int:
        ends = await (self.beginning_offsets if self._reset == "earliest" else self.end_offsets)([tp])
        return int(ends[tp])

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        """Read these, without a group."""
        self._positions = dict.fromkeys(partitions, 0)

    def assignment(self) -> set[TopicPartition]:
        return set(self._positions)

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self._positions[tp] = offset
        self._stir()

    async def seek_to_beginning(self, *partitions: TopicPartition) -> None:
        self._positions |= await self.beginning_offsets(partitions)

    async def beginning_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        wanted = list(partitions)
        return await self._broker.ask(lambda: {tp: self._of(tp).start for tp in wanted})

    async def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The last stable offsets, to a reader of committed records; else the ends."""
        wanted = list(partitions)
        return await self._broker.ask(
            lambda: {tp: self._of(tp).stable if self._committed else self._of(tp).end for tp in wanted}
        )

    async def committed(self, tp: TopicPartition) -> int | None:
        group = str(self._group_id)
        return await self._broker.ask(lambda: self._broker.groups.committed(group, (tp.topic, tp.partition)))

    def highwater(self, tp: TopicPartition) -> int | None:
        return self._of(tp).ends_at(self._moment())[1]

    async def position(self, tp: TopicPartition) -> int:
        """The next offset to be read: markers, and holes, move it by themselves."""
        self._check()
        self._skip(tp)
        return self._positions[tp]

    async def getmany(
        self, *, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[Record]]:
        """What has come, at once; else what comes within the time."""
        self._check()
        self._lag = self._broker.delay()
        until = self._loop.time() + timeout_ms / 1000 * self._broker.pace.drowsy
        while True:
            found = self._take(max_records or self._most)
            if found or self._loop.time() >= until:
                return found
            await self._something(until)
            self._check()

    async def _something(self, until: float) -> None:
        """Wait for news of any partition, and not past `until`."""
        self._wake = wake = self._loop.create_future()
        timer = self._loop.call_at(until, self._stir)
        watched = [self._of(tp) for tp in self._positions]
        for partition in watched:
            partition.watchers[self._hear] = None
        try:
            await wake
        finally:
            timer.cancel()
            for partition in watched:
                partition.watchers.pop(self._hear, None)

    def _hear(self) -> None:
        self._lag = self._broker.delay()
        self._broker.later(self._lag, self._stir)

    def _stir(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    @property
    def belongs(self) -> bool:
        """Whether it reads what a group assigns."""
        return bool(self._topic)

    def last_poll_timestamp(self, tp: TopicPartition) -> int:
        """When the broker last answered, in milliseconds of a clock of its own, as aiokafka's is."""
        return round(self._moment() * 1000)

    def stall(self, seconds: float) -> None:
        """A fault: nothing new arrives for that long."""
        now = self._loop.time()
        self._stalled = (now, now + seconds)
        self._broker.later(seconds, self._stir)

    def _moment(self) -> float:
        now = self._loop.time()
        if self._stalled is not None and now < self._stalled[1]:
            return self._stalled[0]
        return now - self._lag + ROUNDING_S

    def _visible(self, partition: Partition) -> int:
        stable, end = partition.ends_at(self._moment())
        return stable if self._committed else end

    def _take(self, most: int) -> dict[TopicPartition, list[Record]]:
        if self._broker.is_down:
            return {}
        found: dict[TopicPartition, list[Record]] = {}
        for tp in list(self._positions):
            self._in_range(tp)
            partition, end = self._of(tp), self._visible(self._of(tp))
            entries = list(islice(partition.read(self._positions[tp], end, committed=self._committed), most))
            if entries:
                found[tp] = [_record(tp, entry) for entry in entries]
                self._positions[tp] = entries[-1].offset + 1
                most -= len(entries)
            if not most:
                break
        return found

    def _skip(self, tp: TopicPartition) -> None:
        partition, end = self._of(tp), self._visible(self._of(tp))
        position = self._positions[tp]
        following = next(partition.read(position, end, committed=self._committed), None)
        self._positions[tp] = max(position, end if following is None else following.offset)

    def _in_range(self, tp: TopicPartition) -> None:
        partition = self._of(tp)
        if self._positions[tp] >= partition.start:
            return
        self._broker.saw("a reader found itself before the log's start")
        match self._reset:
            case "earliest":
                self._positions[tp] = partition.start
            case "latest":
                self._positions[tp] = self._visible(partition)
            case _:
                raise OffsetOutOfRangeError({tp: self._positions[tp]})

    def _of(self, tp: TopicPartition) -> Partition:
        return self._broker.partitions[(tp.topic, tp.partition)]


def _record(tp: TopicPartition, entry: Entry) -> Record:
    return Record(tp.partition, entry.offset, entry.timestamp, entry.key, entry.value, entry.headers)
