"""What the eraser has done outside its own topics: partitions taken over, segments rolled, records deleted."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from aiokafka.errors import ProducerFenced  # type: ignore[import-untyped]

from connectors import ServiceRefused, kafka
from connectors.kafka import KafkaAccess
from connectors.kafka_admin import KafkaAdmin
from pipeline.changes import Tombstone
from pipeline.keeper.ownership import Owned, become_owner, transactions
from pipeline.shell.outbox import outbox
from pipeline.shell.replay import Replay
from pipeline.stages.contract import Emit, Nudge, Purge, TakeOver, Upkeep
from pipeline.stages.withdrawal import Withdrawal
from pipeline.topology import Deployment, Node, Topic
from pipeline.views import Follower

log = logging.getLogger(__name__)

# An owner that comes back needs some seconds to be heard: it is not fenced again before it was, or they are over.
SPARED_S = 10.0
# The broker may forget a deletion that it had not yet written down when it died: it is told again.
REPEAT_S = 10.0
# A key that no record of ours has, so that its tombstone says nothing to anybody.
NUDGE_KEY = "nudge"


@dataclass(slots=True)
class Upkeeper:
    """Carries out what `stages.erase` asks for. Everything here may be repeated; every failure passes through.

    `tables` is the eraser's own view, which `withdrawal` consults.
    """

    access: KafkaAccess
    replay: Replay
    withdrawal: Withdrawal
    tables: Follower
    admin: KafkaAdmin
    clock: Callable[[], datetime]
    timer: Callable[[], float] = time.monotonic
    _taken: dict[int, Owned] = field(default_factory=dict)
    _fenced_at: dict[int, float] = field(default_factory=dict)
    _purged: dict[tuple[str, int], tuple[int, float]] = field(default_factory=dict)

    @property
    def _deployment(self) -> Deployment:
        return self.replay.deployment

    async def do(self, wanted: Upkeep, partition: int) -> None:
        match wanted:
            case TakeOver():
                await self._take_over(wanted.partition, spared=not wanted.heard)
            case Nudge():
                await self._nudge(wanted.topic)
            case Purge():
                await asyncio.to_thread(self._purge, wanted.reader, partition)

    async def _take_over(self, partition: int, *, spared: bool) -> None:
        taken = self._taken.get(partition)
        if taken is None:
            if spared and self.timer() - self._fenced_at.get(partition, -SPARED_S) < SPARED_S:
                return
            log.warning("no word from the owner of partition %d of faces: taking it over", partition)
            self._fenced_at[partition] = self.timer()
            taken = self._taken[partition] = await become_owner(
                self.access, self.replay, self.withdrawal, partition, self.tables
            )
        try:
            async with taken.deciding():
                now = self.clock()
                taken.state, outputs, _ = self.withdrawal.tick(taken.state, now)
                for portion in transactions(outputs):
                    await taken.publish(outbox(self._deployment, partition, portion, now))
        except ProducerFenced:
            log.info("partition %d of faces has an owner again", partition)
            self._fenced_at[partition] = self.timer()
            if self._taken.pop(partition, None) is not None:
                await taken.producer.stop()

    async def _nudge(self, topic: Topic) -> None:
        nudge = [Emit(topic, Tombstone(NUDGE_KEY))]
        async with kafka.producer(self.access) as producer:
            for partition in range(self._deployment.scale.partitions(topic)):
                for record in outbox(self._deployment, partition, nudge, self.clock()).records:
                    await (await producer.send(**record.arguments()))

    def _purge(self, reader: Node, ours: int) -> None:
        topic = self._deployment.name(reader.input)
        committed = self.admin.committed(self._deployment.group(reader), topic)
        now, tables = self.timer(), self._deployment.scale.tables
        before = {
            partition: offset
            for partition, offset in committed.items()
            if partition % tables == ours and self._is_news(topic, partition, offset, now)
        }
        try:
            self.admin.delete_records(topic, before)
        except ServiceRefused as refusal:
            # Retention deletes them anyway, later; `faceline check` tells what is promised then.
            log.warning("%s", refusal)
        self._purged.update({(topic, partition): (offset, now) for partition, offset in before.items()})

    async def stop(self) -> None:
        """Give back what was taken over, and the connections."""
        while self._taken:
            _, taken = self._taken.popitem()
            await taken.producer.stop()
        self.admin.close()

    def _is_news(self, topic: str, partition: int, offset: int, now: float) -> bool:
        told, when = self._purged.get((topic, partition), (0, now))
        return offset > told or (offset > 0 and now - when >= REPEAT_S)
