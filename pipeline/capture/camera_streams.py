"""One camera's partition of the streams, to write to: frames, ledger and gaps of a camera stand side by side."""

import asyncio
from typing import Any

from aiokafka import AIOKafkaProducer  # type: ignore[import-untyped]

from pipeline.changes import Put
from pipeline.codec import Wire, encode
from pipeline.records import Gap, Ledger
from pipeline.topology import GAPS, LEDGER, Deployment, Topic


class CameraStreams:
    """Writes a camera's records, through one idempotent producer: while Kafka is away it waits, and repeats nothing."""

    def __init__(self, producer: AIOKafkaProducer, deployment: Deployment, camera: str) -> None:
        self._producer = producer
        self._deployment = deployment
        self.camera = camera
        self.partition = deployment.scale.of_camera(camera)

    async def send(self, topic: Topic, wire: Wire) -> asyncio.Future[Any]:
        """Hand a record over; the future is done when the brokers have it. Waits where too much is on its way."""
        future: asyncio.Future[Any] = await self._producer.send(
            self._deployment.name(topic),
            key=wire.key,
            value=wire.value,
            headers=list(wire.headers),
            partition=self.partition,
        )
        return future

    async def gap(self, gap: Gap) -> None:
        """Write a gap and wait until the brokers have it."""
        await (await self.send(GAPS, encode(GAPS, Put(gap.camera, gap))))

    async def ledger(self, ledger: Ledger) -> None:
        """Write a ledger and wait until the brokers have it."""
        key = f"{ledger.camera}/{ledger.session}/{ledger.stage}"
        await (await self.send(LEDGER, encode(LEDGER, Put(key, ledger))))
