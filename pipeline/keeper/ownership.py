"""A partition as its owner works on it: the producer that fences every earlier owner, and the state behind it."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaProducer  # type: ignore[import-untyped]

from connectors import kafka
from connectors.kafka import KafkaAccess
from pipeline.shell.outbox import Outbox
from pipeline.shell.replay import Replay
from pipeline.stages.contract import Emit, Output, Replaying
from pipeline.topology import GATE
from pipeline.views import Follower

MOST_RECORDS = 500


@dataclass(slots=True)
class Owned:
    """A partition that is ours: nobody else can publish for it any more."""

    producer: AIOKafkaProducer
    state: Any
    next_offset: int = 0
    due: datetime | None = None
    _alone: asyncio.Lock = field(default_factory=asyncio.Lock, init=False, repr=False)
    _failure: BaseException | None = field(default=None, init=False, repr=False)

    @asynccontextmanager
    async def deciding(self) -> AsyncIterator[None]:
        """From a decision until it is published, alone: a watermark in between would not speak for it.

        What goes wrong here leaves a state of which nobody knows how far it has changed: all who come later get to
        hear it again, and decide nothing.
        """
        async with self._alone:
            if self._failure is not None:
                raise self._failure
            try:
                yield
            except BaseException as error:
                self._failure = error
                raise

    async def publish(self, box: Outbox, read: Mapping[Any, Any] | None = None, group: str | None = None) -> None:
        """Make records visible at once, together with how far `group` has `read`; to be called while `deciding`."""
        if not box.records and not read:
            return
        async with self.producer.transaction():
            sent = [await self.producer.send(**each.arguments()) for each in box.records]
            if read:
                await self.producer.send_offsets_to_transaction(read, group)
            await asyncio.gather(*sent)


async def become_owner(
    access: KafkaAccess, replay: Replay, stage: Replaying[Any], partition: int, tables: Follower | None
) -> Owned:
    """Own a partition of the stage, in the one order that is safe (`tests/protocol`): fence, read the ends, replay."""
    producer = kafka.producer(access, transactional_id=f"{replay.deployment.group(stage.node)}-{partition}")
    await producer.start()
    if tables is not None:
        # Its end is read after the fence: else a deletion that a former owner answered for could be missed here.
        await tables.catch_up()
    return Owned(producer, await replay(stage, partition))


def transactions(outputs: Sequence[Output]) -> Iterator[Sequence[Output]]:
    """What goes into one transaction each: at most 500, and a watermark by itself, behind all that it speaks for.

    Kafka decides a transaction at one moment and shows it partition by partition, so a watermark could be seen before
    the tombstones beside it. A producer's next transaction begins only when every partition shows the last one.
    """
    portion: list[Output] = []
    for output in outputs:
        is_watermark = isinstance(output, Emit) and output.topic is GATE
        if portion and (is_watermark or len(portion) == MOST_RECORDS):
            yield portion
            portion = []
        portion.append(output)
    if portion:
        yield portion
