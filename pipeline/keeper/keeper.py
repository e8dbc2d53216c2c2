"""The shell of stages whose state is a replay and whose outputs are the last word: aiokafka, with transactions.

One transactional producer per input partition. On assignment, in this order: InitProducerId, which fences every
earlier owner; replay of the tables and of what the map says, to end offsets that are read afterwards; then the
committed offset. Outputs and offsets go in one transaction. Any exception ends the process before it commits.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

from aiokafka import ConsumerRebalanceListener, TopicPartition  # type: ignore[import-untyped]
from aiokafka.structs import OffsetAndMetadata  # type: ignore[import-untyped]

from connectors import kafka
from connectors.kafka import KafkaAccess
from connectors.kafka_leaving import leaves_at_stop
from pipeline.codec import receive
from pipeline.keeper.ownership import Owned, become_owner, transactions
from pipeline.shell.desk import Desk
from pipeline.shell.meter import Meter
from pipeline.shell.outbox import KeyShredder, Outbox, outbox
from pipeline.stages.contract import KeptStage, Upkeep
from pipeline.views import Follower

log = logging.getLogger(__name__)

POLL_MS = 50


class Upkeeping(Protocol):
    """Does what a stage wants done besides its records, on the partition that is given with it."""

    async def do(self, wanted: Upkeep, partition: int) -> None: ...

    async def stop(self) -> None: ...


class Keeper(ConsumerRebalanceListener):  # type: ignore[misc]
    """Runs one stage on the partitions that its group assigns; `tables` is what the stage follows as a whole."""

    def __init__(
        self,
        desk: Desk[KeptStage[Any, Any]],
        access: KafkaAccess,
        shredder: KeyShredder,
        meter: Meter,
        *,
        instance: str,
        tables: Follower | None = None,
        upkeep: Upkeeping | None = None,
    ) -> None:
        self._desk = desk
        self._access = access
        self._shredder = shredder
        self._meter = meter
        self._instance = instance
        self._group = desk.deployment.group(desk.stage.node)
        self._tables = tables
        self._upkeep = upkeep
        self._owned: dict[int, Owned] = {}
        self._failure: Exception | None = None
        # A rebalance waits for what is in hand, a search included, and nothing is begun during a rebalance.
        self._at_work = asyncio.Lock()
        self._topic = desk.stage.node.input
        self._name = desk.deployment.name(self._topic)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`; raises whatever went wrong, after which the process must end."""
        if self._tables is not None:
            await self._tables.start()
        self._consumer = kafka.consumer(self._access, group=self._group, instance=self._instance)
        self._consumer.subscribe([self._name], listener=self)
        await self._consumer.start()
        while not stop.is_set():
            await self._turn()
        leaves_at_stop(self._consumer)
        await self._consumer.stop()
        await self._release(list(self._owned))
        if self._upkeep is not None:
            await self._upkeep.stop()
        if self._tables is not None:
            await self._tables.stop()

    async def _turn(self) -> None:
        batches = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=self._desk.stage.batch)
        async with self._at_work:
            if self._failure is not None:
                raise self._failure
            # A batch from before a rebalance starts no later than where `_own` went on, and `_take` knows where.
            mine = {tp.partition: records for tp, records in batches.items() if tp.partition in self._owned}
            await self._tick_those_due()
            if mine:
                await self._take_all(mine)

    async def _take_all(self, batches: Mapping[int, Sequence[Any]]) -> None:
        """Time goes on meanwhile: a gallery may take long to answer, and whoever waits for a watermark must not."""
        taking = asyncio.gather(*(self._take(partition, records) for partition, records in batches.items()))
        try:
            while not (await asyncio.wait([taking], timeout=POLL_MS / 1000))[0]:
                await self._tick_those_due()
        except Exception as error:
            if taking.done() and (cause := taking.exception()) is not None:
                raise cause from error
            # What is being prepared is not to blame for what goes wrong beside it.
            self._desk.attempts.acquit()
            raise
        finally:
            taking.cancel()
        await taking
        await self._tick_those_due(batches)

    async def _tick_those_due(self, others: Collection[int] = ()) -> None:
        """Tick every partition if a table has news, else those whose time has come, and `others`."""
        changed = self._tables is not None and await self._tables.poll()
        now = self._desk.clock()
        due = {
            partition: owned
            for partition, owned in self._owned.items()
            if changed or partition in others or owned.due is None or owned.due <= now
        }
        await asyncio.gather(*(self._tick(partition, owned) for partition, owned in due.items()))

    async def _take(self, partition: int, records: Sequence[Any]) -> None:
        owned = self._owned[partition]
        inputs = [receive(self._topic, record) for record in records if record.offset >= owned.next_offset]
        async for step in self._meter.timed(self._desk.work(partition, inputs), len(inputs)):
            async with owned.deciding():
                portion = step(owned.state)
                await self._commit(partition, owned, portion.outbox, portion.next_offset)
                owned.state = portion.state
                owned.next_offset = portion.next_offset
        end = self._consumer.highwater(TopicPartition(self._name, partition))
        if end is not None:
            self._meter.lags(partition, end - owned.next_offset)

    async def _tick(self, partition: int, owned: Owned) -> None:
        async with owned.deciding():
            now = self._desk.clock()
            owned.state, outputs, owned.due = self._desk.stage.tick(owned.state, now)
            for portion in transactions(outputs):
                await self._commit(partition, owned, outbox(self._desk.deployment, partition, portion, now), None)

    async def _commit(self, partition: int, owned: Owned, box: Outbox, next_offset: int | None) -> None:
        """Destroy the keys, then make the records and the offset visible at once; then do the upkeep."""
        if box.kids or box.expired_at:
            await asyncio.to_thread(box.destroy_keys, self._shredder)
        here = TopicPartition(self._name, partition)
        read = None if next_offset is None else {here: OffsetAndMetadata(next_offset, "")}
        await owned.publish(box, read, self._group)
        self._meter.wrote(box, self._desk.clock())
        for each in box.upkeep:
            if self._upkeep is None:
                raise RuntimeError(f"{self._desk.stage.node.name} wants {each}, and was given nobody who does it")
            await self._upkeep.do(each, partition)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        async with self._rebalancing():
            await asyncio.gather(*(self._own(tp.partition) for tp in assigned))

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        async with self._rebalancing():
            await self._release([tp.partition for tp in revoked])

    @asynccontextmanager
    async def _rebalancing(self) -> AsyncIterator[None]:
        """Keeps what went wrong for the next turn: aiokafka would log it and go on as if the partitions were ours."""
        async with self._at_work:
            try:
                yield
            except Exception as error:
                self._failure = error
                raise

    async def _own(self, partition: int) -> None:
        ours = await become_owner(self._access, self._desk.replay, self._desk.stage, partition, self._tables)
        here = TopicPartition(self._name, partition)
        committed = await self._consumer.committed(here)
        if committed is None:
            committed = (await self._consumer.beginning_offsets([here]))[here]
        self._consumer.seek(here, committed)
        ours.next_offset = committed
        self._owned[partition] = ours
        log.info("owns %s/%d from offset %d", self._topic.name, partition, committed)

    async def _release(self, partitions: Iterable[int]) -> None:
        for partition in partitions:
            owned = self._owned.pop(partition, None)
            if owned is not None:
                await owned.producer.stop()
