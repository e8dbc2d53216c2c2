"""Identifications as they come, read as any application would read them."""

import logging
from collections.abc import AsyncGenerator

from aiokafka import AIOKafkaConsumer, TopicPartition  # type: ignore[import-untyped]

from pipeline.codec import Received, Unusable, receive
from pipeline.operations.client import Client
from pipeline.records import Identification
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


def name_of(client: Client, told: Identification) -> str | None:
    """The name of the person who was identified; None for an unknown, and for one who is forgotten meanwhile."""
    person = None if told.person_id is None else client.tables.live.persons.get(told.person_id)
    return None if person is None else client.name_of(person)


async def present_name_of(client: Client, told: Identification) -> str | None:
    """The name, once every deletion is seen that was acknowledged before this call."""
    if told.person_id is None:
        return None
    await client.catch_up()
    return name_of(client, told)


def latency_ms(received: Received, told: Identification) -> float:
    """From the moment the picture was taken to the moment the broker had the identification."""
    return (received.appended_at - told.captured_at).total_seconds() * 1000
