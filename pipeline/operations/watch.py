"""Identifications as they come, read as any application would read them."""

import logging
from collections.abc import AsyncGenerator

from aiokafka import AIOKafkaConsumer, TopicPartition  # type: ignore[import-untyped]

from pipeline.codec import Received, Unusable, receive
from pipeline.topology import IDENTIFICATIONS, Deployment

log = logging.getLogger(__name__)


async def identifications(
    consumer: AIOKafkaConsumer, deployment: Deployment, *, from_beginning: bool = False
) -> AsyncGenerator[Received, None]:
    """Every change of `identifications` from now on, or from the oldest kept; ends when the caller closes it.

    `consumer` reads committed records, without a group, and is not yet started; it is stopped at the end.
    """
    name = deployment.name(IDENTIFICATIONS)
    partitions = [TopicPartition(name, each) for each in range(deployment.scale.partitions(IDENTIFICATIONS))]
    await consumer.start()
    try:
        consumer.assign(partitions)
        if from_beginning:
            await consumer.seek_to_beginning(*partitions)
        else:
            await consumer.seek_to_end(*partitions)
        async for record in consumer:
            match receive(IDENTIFICATIONS, record):
                case Received() as received:
                    yield received
                case Unusable(error=error):
                    log.warning("skipped %s/%d at %d: %s", name, record.partition, record.offset, error)
    finally:
        await consumer.stop()
