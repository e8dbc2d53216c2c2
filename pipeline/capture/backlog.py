"""How far behind the group that reads `frames` is, on one camera's partition."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from aiokafka import AIOKafkaConsumer, TopicPartition  # type: ignore[import-untyped]
from aiokafka.errors import KafkaError  # type: ignore[import-untyped]

from pipeline.capture.backpressure import Backlog, Pressure

log = logging.getLogger(__name__)

INTERVAL = {"latest": 0.5, "all": 0.2}  # seconds: who waits for room wants to hear of it soon


class BacklogReader:
    """Reads a partition's end and its group's progress.

    The consumer bears the group's name but subscribes to nothing, so it never becomes a member. A group that has
    committed nothing yet, or whose next record was deleted, stands at the oldest record there is.
    """

    def __init__(self, consumer: AIOKafkaConsumer, topic: str, partition: int) -> None:
        self._consumer = consumer
        self._place = TopicPartition(topic, partition)

    async def __call__(self) -> Backlog:
        """The backlog now; a KafkaError or OSError where Kafka is away."""
        ends = await self._consumer.end_offsets([self._place])
        beginnings = await self._consumer.beginning_offsets([self._place])
        committed = await self._consumer.committed(self._place)
        return Backlog(end=ends[self._place], done=max(committed or 0, beginnings[self._place]))


class Room:
    """Whether there is room for one more frame, as the last reading of the backlog says."""

    def __init__(self, pressure: Pressure) -> None:
        self._pressure = pressure
        self._news = asyncio.Event()

    @property
    def waits(self) -> bool:
        """Whether a camera without room waits for it, or leaves the frame out."""
        return self._pressure.policy == "all"

    async def granted(self) -> bool:
        """Whether the frame may go; under `all` it always may, in the end."""
        while self.waits and self._pressure.full:
            self._news.clear()
            await self._news.wait()
        return not self._pressure.full

    def taken(self) -> None:
        """Kafka has one more frame."""
        self._pressure.acknowledged()

    async def follow(self, read: Callable[[], Awaitable[Backlog]]) -> None:
        """Keep informed, until cancelled; while Kafka is away nothing new is known."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                self._pressure.observe(await read(), loop.time())
            except (KafkaError, OSError) as error:
                log.warning("the lag on the frames cannot be read: %s", type(error).__name__)
            self._news.set()
            await asyncio.sleep(INTERVAL[self._pressure.policy])
