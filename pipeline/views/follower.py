"""A table, replayed from its topic and kept current."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from aiokafka import AIOKafkaConsumer, TopicPartition  # type: ignore[import-untyped]
from aiokafka.structs import ConsumerRecord  # type: ignore[import-untyped]

from pipeline.codec import NewerSchemaError, Received, Unusable, receive
from pipeline.topology import Deployment, Topic

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.002
# Kafka keeps a tombstone for a day after its cleaner met it (`delete.retention.ms`): for half of that it surely has it.
STALE = timedelta(hours=12)


class StaleViewError(Exception):
    """The view stood still for so long that tombstones may be gone which it never saw: only a new one is true."""


class Follower:
    """Reads whole topics from their beginning and keeps following them.

    A record that cannot be read is skipped with a warning: whoever owns its partition writes the dead letter. One of
    a newer release raises NewerSchemaError, because a table read in part would be a lie; and where nothing was heard
    for longer than tombstones are surely kept, it is StaleViewError.

    `clock` tells how long nothing was heard, while the machine slept as well: it is not the one that tests move.

    `ends` is a consumer that reads uncommitted records, started and stopped by whoever made it; without it, the ends
    are the committed ones. A transaction is acknowledged before all its partitions show it, so whoever must see what
    another process was told needs the former.
    """

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        deployment: Deployment,
        topics: Iterable[Topic],
        on_change: Callable[[Received], None],
        *,
        clock: Callable[[], datetime],
        partitions: Iterable[int] | None = None,
        ends: AIOKafkaConsumer | None = None,
    ) -> None:
        self._consumer = consumer
        self._ends = consumer if ends is None else ends
        self._running = False
        self._clock = clock
        self._looked_at = clock()
        # The consumer's stamp of its last answer, by a clock of its own, and a time of ours no later than that.
        self._answers: dict[TopicPartition, tuple[int | None, datetime]] = {}
        self._topics = {deployment.name(topic): topic for topic in topics}
        self._on_change = on_change
        self._reading = asyncio.Lock()
        self._assignment = [
            TopicPartition(name, partition)
            for name, topic in self._topics.items()
            for partition in (range(deployment.scale.partitions(topic)) if partitions is None else partitions)
        ]

    async def start(self) -> None:
        """Replay everything there is; when this returns, the view is as new as the topics were at the call."""
        await self._consumer.start()
        self._consumer.assign(self._assignment)
        await self._consumer.seek_to_beginning(*self._assignment)
        await self.catch_up()

    async def poll(self, timeout: float = 0.0) -> bool:
        """Take what has arrived, waiting up to `timeout` seconds for something; says whether anything had."""
        async with self._reading:
            self._check_age()
            batches = await self._consumer.getmany(timeout_ms=int(timeout * 1000))
            for partition, records in batches.items():
                for record in records:
                    self._take(self._topics[partition.topic], record)
            return bool(batches)

    def _check_age(self) -> None:
        """A machine can sleep for days, and a broker be away for as long: both end in a view that nothing corrects."""
        now = self._clock()
        for partition in self._consumer.assignment():
            stamp = self._consumer.last_poll_timestamp(partition)
            if partition not in self._answers or self._answers[partition][0] != stamp:
                self._answers[partition] = (stamp, self._looked_at)
        heard_at = min([self._looked_at, *(at for _, at in self._answers.values())])
        silent = now - heard_at
        # A stale view stays stale, however much it hears from now on.
        self._looked_at = heard_at if silent > STALE else now
        if silent > STALE:
            seconds = silent.total_seconds()
            raise StaleViewError(f"the view of {', '.join(self._topics)} has heard nothing for {seconds:.0f} s")

    async def catch_up(self) -> None:
        """Wait until the view has seen everything that was acknowledged before this call."""
        self._check_age()
        ends = await self._ends.end_offsets(self._assignment)
        for partition, end in ends.items():
            while await self._consumer.position(partition) < end:
                if self._running:
                    # A marker moves the position without a record that could wake anybody.
                    await asyncio.sleep(LOOK_SECONDS)
                else:
                    await self.poll(0.1)

    async def run(self) -> None:
        """Follow for ever; cancel to end."""
        self._running = True
        try:
            while True:
                await self.poll(0.5)
        finally:
            self._running = False

    async def stop(self) -> None:
        await self._consumer.stop()

    def _take(self, topic: Topic, record: ConsumerRecord) -> None:
        match receive(topic, record):
            case Received() as received:
                self._on_change(received)
            case Unusable(newer=True, error=error):
                raise NewerSchemaError(error)
            case Unusable(error=error):
                log.warning("skipped %s/%d at %d: %s", topic.name, record.partition, record.offset, error)
